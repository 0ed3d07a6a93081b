// Draws images into one PPM: GenSample model.onnx --seed 7 --count 16 --ppm out.ppm --set steps=20 --set solver=heun

using System;

namespace GenRuntime.Examples
{
    internal static class Program
    {
        private static int Main(string[] words)
        {
            try
            {
                Arguments arguments = Arguments.Parse(words);
                using (GenModel model = GenModel.Load(arguments.Model, arguments.Load))
                {
                    Image[] images = model.Sample(arguments.Count, arguments.Seed, arguments.Inputs);
                    ImageGrid.Of(images, arguments.Columns).SavePpm(arguments.Ppm);
                    Console.WriteLine(
                        $"{arguments.Ppm}: {images.Length} images of {images[0].Width} x {images[0].Height}");
                }
                return 0;
            }
            catch (Exception error) when (error is GenException || error is FormatException)
            {
                Console.Error.WriteLine($"GenSample: {error.Message}");
                return 1;
            }
        }
    }
}
