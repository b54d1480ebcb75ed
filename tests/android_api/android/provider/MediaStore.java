package android.provider;
import android.net.Uri;
public final class MediaStore {
    public static final String ACTION_PICK_IMAGES = "", ACTION_IMAGE_CAPTURE = "", EXTRA_OUTPUT = "";
    public static final class Images {
        public static final class Media {
            public static final Uri EXTERNAL_CONTENT_URI = null;
            public static final String MIME_TYPE = "";
        }
    }
}
