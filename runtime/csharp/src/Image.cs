using System.Text;

namespace GenRuntime
{
    /// <summary>One image: bytes row by row, channels together, 0 black to 255 white.</summary>
    public sealed class Image
    {
        /// <summary>An image of pixels, which it shares.</summary>
        /// <exception cref="GenPortException">A size is below 1, or there are more or fewer pixels.</exception>
        public Image(int height, int width, int channels, byte[] pixels)
        {
            if (height < 1 || width < 1 || channels < 1 || pixels.LongLength != (long)height * width * channels)
            {
                throw new GenPortException(
                    $"expected the pixels of an image [{height}, {width}, {channels}], found {pixels.Length}");
            }
            Height = height;
            Width = width;
            Channels = channels;
            Pixels = pixels;
        }

        /// <summary>Rows.</summary>
        public int Height { get; }

        /// <summary>Columns.</summary>
        public int Width { get; }

        /// <summary>1 for grey, 3 for RGB.</summary>
        public int Channels { get; }

        /// <summary>The bytes.</summary>
        public byte[] Pixels { get; }

        /// <summary>Writes a binary PPM, grey as RGB with equal channels: whole, or not at all.</summary>
        /// <exception cref="GenPortException">The image has other than 1 or 3 channels.</exception>
        /// <exception cref="GenFileException">The file cannot be written.</exception>
        public void SavePpm(string path)
        {
            if (Channels != 1 && Channels != 3)
            {
                throw new GenPortException(
                    $"SavePpm: expected an image of 1 or 3 channels, found [{Height}, {Width}, {Channels}]");
            }
            byte[] header = Encoding.ASCII.GetBytes($"P6\n{Width} {Height}\n255\n");
            WholeFile.Write(path, header, Channels == 3 ? Pixels : Rgb());
        }

        private byte[] Rgb()
        {
            var rgb = new byte[3 * Pixels.Length];
            for (int i = 0; i < rgb.Length; i++)
            {
                rgb[i] = Pixels[i / 3];
            }
            return rgb;
        }
    }
}
