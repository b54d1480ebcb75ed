package android.content;
import android.net.Uri;
import java.io.InputStream;
public abstract class ContentResolver {
    public final Uri insert(Uri url, ContentValues values) { return null; }
    public final int delete(Uri url, String where, String[] selectionArgs) { return 0; }
    public final InputStream openInputStream(Uri uri) { return null; }
}
