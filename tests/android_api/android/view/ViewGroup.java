package android.view;
import android.content.Context;
public abstract class ViewGroup extends View {
    public static class LayoutParams { public static final int MATCH_PARENT = -1; }
    public ViewGroup(Context context) { super(context); }
    public void addView(View child) {}
    public void addView(View child, LayoutParams params) {}
}
