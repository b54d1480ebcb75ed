package android.graphics;
public class BitmapFactory {
    public static class Options {
        public boolean inJustDecodeBounds;
        public int inSampleSize, outWidth, outHeight;
    }
    public static Bitmap decodeStream(java.io.InputStream is, android.graphics.Rect pad, Options opts) { return null; }
    public static Bitmap decodeStream(java.io.InputStream is) { return null; }
}
