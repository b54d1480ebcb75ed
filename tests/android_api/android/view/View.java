package android.view;
import android.content.Context;
public class View {
    public interface OnClickListener { void onClick(View v); }
    public View(Context context) {}
    public void setPadding(int left, int top, int right, int bottom) {}
    public void setFitsSystemWindows(boolean fitSystemWindows) {}
    public boolean getFitsSystemWindows() { return false; }
    public void setOnClickListener(OnClickListener l) {}
}
