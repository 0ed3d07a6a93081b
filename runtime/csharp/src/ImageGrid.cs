using System;
using System.Collections.Generic;

namespace GenRuntime
{
    /// <summary>Many images as one.</summary>
    public static class ImageGrid
    {
        private const byte grey = 128;

        /// <summary>Lays images of one size out row by row on mid-grey.</summary>
        /// <param name="images">The images; at least one.</param>
        /// <param name="columns">Images in a row; about a square where 0.</param>
        /// <param name="gap">Pixels between neighbours; none around the outside.</param>
        /// <exception cref="GenPortException">
        /// There are no images, they differ in size, or columns or gap is below 0.
        /// </exception>
        public static Image Of(IReadOnlyList<Image> images, int columns = 0, int gap = 2)
        {
            Require(images, columns, gap);
            columns = Math.Min(columns == 0 ? (int)Math.Ceiling(Math.Sqrt(images.Count)) : columns, images.Count);
            int rows = (images.Count + columns - 1) / columns;
            Image first = images[0];
            int height = rows * (first.Height + gap) - gap, width = columns * (first.Width + gap) - gap;
            Image sheet = Grey(height, width, first.Channels);
            for (int i = 0; i < images.Count; i++)
            {
                Paste(images[i], sheet, i / columns * (first.Height + gap), i % columns * (first.Width + gap));
            }
            return sheet;
        }

        private static void Require(IReadOnlyList<Image> images, int columns, int gap)
        {
            if (images.Count == 0 || columns < 0 || gap < 0)
            {
                throw new GenPortException(
                    "grid: expected at least one image, and columns and gap of at least 0, "
                    + $"found {images.Count} images, columns {columns} and gap {gap}");
            }
            foreach (Image image in images)
            {
                if (SizeOf(image) != SizeOf(images[0]))
                {
                    throw new GenPortException(
                        $"grid: expected images of one size, found {SizeOf(images[0])} and {SizeOf(image)}");
                }
            }
        }

        private static string SizeOf(Image image) => Text.Of(new long[] { image.Height, image.Width, image.Channels });

        private static Image Grey(int height, int width, int channels)
        {
            var pixels = new byte[height * width * channels];
            for (int i = 0; i < pixels.Length; i++)
            {
                pixels[i] = grey;
            }
            return new Image(height, width, channels, pixels);
        }

        private static void Paste(Image image, Image sheet, int top, int left)
        {
            int row = image.Width * image.Channels;
            for (int y = 0; y < image.Height; y++)
            {
                int start = ((top + y) * sheet.Width + left) * sheet.Channels;
                Array.Copy(image.Pixels, y * row, sheet.Pixels, start, row);
            }
        }
    }
}
