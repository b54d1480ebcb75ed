package android.graphics;
import android.content.ContentResolver;
import android.net.Uri;
public final class ImageDecoder {
    public static final int ALLOCATOR_SOFTWARE = 1;
    public static abstract class Source {}
    public static class ImageInfo {
        public android.util.Size getSize() { return null; }
    }
    public interface OnHeaderDecodedListener {
        void onHeaderDecoded(ImageDecoder decoder, ImageInfo info, Source source);
    }
    public static Source createSource(ContentResolver cr, Uri uri) { return null; }
    public static Bitmap decodeBitmap(Source src, OnHeaderDecodedListener listener) { return null; }
    public void setAllocator(int allocator) {}
    public void setTargetSampleSize(int sampleSize) {}
    public int getAllocator() { return 0; }
}
