package android.graphics;
public final class Bitmap {
    public int getWidth() { return 0; }
    public int getHeight() { return 0; }
    public static Bitmap createScaledBitmap(Bitmap source, int width, int height, boolean filter) { return source; }
    public void getPixels(int[] pixels, int offset, int stride, int x, int y, int width, int height) {}
}
