package android.widget;
import android.content.Context;
import android.text.TextWatcher;
public class TextView extends android.view.View {
    public TextView(Context context) { super(context); }
    public void setTextSize(float size) {}
    public float getTextSize() { return 0; }
    public final void setText(CharSequence text) {}
    public CharSequence getText() { return null; }
    public final void setHint(CharSequence hint) {}
    public CharSequence getHint() { return null; }
    public void addTextChangedListener(TextWatcher watcher) {}
}
