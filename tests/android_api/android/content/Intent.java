package android.content;
import android.net.Uri;
import android.os.Parcelable;
public class Intent {
    public static final String ACTION_OPEN_DOCUMENT = "", CATEGORY_OPENABLE = "";
    public Intent(String action) {}
    public Intent addCategory(String category) { return this; }
    public Intent setType(String type) { return this; }
    public Intent putExtra(String name, Parcelable value) { return this; }
    public Uri getData() { return null; }
}
