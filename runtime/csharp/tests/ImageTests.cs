using System.IO;
using System.Linq;
using System.Text;

namespace GenRuntime.Tests
{
    /// <summary>Images, their grid and their file.</summary>
    internal static class ImageTests
    {
        public static void A_grid_lays_images_out_row_by_row()
        {
            Image sheet = ImageGrid.Of(Grey(3), 2, 1);
            byte[] expected =
            {
                1, 2, 128, 5, 6, 3, 4, 128, 7, 8, 128, 128, 128, 128, 128, 1, 2, 128, 128, 128, 3, 4, 128, 128, 128,
            };
            Check.Same(expected, sheet.Pixels, "pixels");
            Check.Same(new[] { 5, 5, 1 }, new[] { sheet.Height, sheet.Width, sheet.Channels }, "size");
        }

        public static void A_grid_is_about_a_square_and_no_wider_than_its_images()
        {
            Check.Equal(3 * 2 + 2 * 2, ImageGrid.Of(Grey(5)).Width);
            Check.Equal(2 * 2 + 2, ImageGrid.Of(Grey(2), 7).Width);
        }

        public static void A_grid_keeps_channels_together()
        {
            var image = new Image(1, 2, 3, new byte[] { 1, 2, 3, 4, 5, 6 });
            Check.Same(
                new byte[] { 1, 2, 3, 4, 5, 6, 128, 128, 128, 1, 2, 3, 4, 5, 6 },
                ImageGrid.Of(new[] { image, image }, 2, 1).Pixels,
                "pixels");
        }

        public static void A_grey_image_is_written_as_RGB_over_what_was_there()
        {
            string path = Path.Combine(Folders.Work, "grey.ppm");
            File.WriteAllText(path, "older and longer than what comes now");
            Grey(2)[1].SavePpm(path);
            byte[] expected = Encoding.ASCII.GetBytes("P6\n2 2\n255\n\x5\x5\x5\x6\x6\x6\a\a\a\b\b\b");
            Check.Same(expected, File.ReadAllBytes(path), "file");
            Check.That(!File.Exists(path + ".draft"), "no draft is left");
        }

        public static void A_colour_image_is_written_as_it_is()
        {
            string path = Path.Combine(Folders.Work, "colour.ppm");
            new Image(1, 1, 3, new byte[] { 65, 66, 67 }).SavePpm(path);
            Check.Equal("P6\n1 1\n255\nABC", File.ReadAllText(path));
        }

        public static void What_cannot_be_written_is_refused()
        {
            string path = Path.Combine(Folders.Work, "no", "such", "folder.ppm");
            Check.Refused<GenFileException>(() => Grey(1)[0].SavePpm(path), $"{path}: cannot be written: ");
            Check.Refused<GenFileException>(() => Grey(1)[0].SavePpm(Folders.Work), "cannot be written: ");
            Check.That(!File.Exists(Folders.Work + ".draft"), "no draft is left");
            Check.Refused<GenPortException>(
                () => new Image(1, 1, 2, new byte[2]).SavePpm("a.ppm"), "1 or 3 channels, found [1, 1, 2]");
        }

        public static void What_is_no_image_or_no_grid_is_refused()
        {
            Check.Refused<GenPortException>(() => new Image(2, 2, 1, new byte[3]), "image [2, 2, 1], found 3");
            Check.Refused<GenPortException>(() => new Image(0, 2, 1, new byte[0]), "image [0, 2, 1], found 0");
            Check.Refused<GenPortException>(() => new Image(65536, 65536, 1, new byte[0]), "found 0");
            Check.Refused<GenPortException>(() => ImageGrid.Of(new Image[0]), "found 0 images");
            Check.Refused<GenPortException>(() => ImageGrid.Of(Grey(1), -1), "columns -1");
            Check.Refused<GenPortException>(() => ImageGrid.Of(Grey(1), 1, -1), "gap -1");
            Image[] unequal = { Grey(1)[0], new Image(1, 4, 1, new byte[4]) };
            Check.Refused<GenPortException>(() => ImageGrid.Of(unequal), "found [2, 2, 1] and [1, 4, 1]");
        }

        /// <summary>Grey images of 2 x 2 pixels: 1 2 3 4, 5 6 7 8 and again.</summary>
        private static Image[] Grey(int count) =>
            Enumerable.Range(0, count)
                .Select(i => new Image(2, 2, 1, Enumerable.Range(i % 2 * 4 + 1, 4).Select(x => (byte)x).ToArray()))
                .ToArray();
    }
}
