namespace GenRuntime
{
    /// <summary>The size of the images that a file makes or takes, in pixels.</summary>
    public sealed class ImageShape
    {
        internal ImageShape(int height, int width, int channels)
        {
            Height = height;
            Width = width;
            Channels = channels;
        }

        /// <summary>Rows.</summary>
        public int Height { get; }

        /// <summary>Columns.</summary>
        public int Width { get; }

        /// <summary>1 for grey, 3 for RGB.</summary>
        public int Channels { get; }

        /// <summary>Bytes of an image.</summary>
        internal long Size => (long)Height * Width * Channels;
    }
}
