using System;
using System.Collections.Generic;
using System.Linq;

namespace GenRuntime
{
    /// <summary>Reads cards, which strangers may have written.</summary>
    internal static class CardReader
    {
        public const string Key = "gen_export";

        private const long newestVersion = 1;
        private const int longest = 1 << 20;  // characters; a card has a few thousand
        private const int deepest = 32;  // objects and lists in one another; a card has five

        private static readonly string[] sections =
        {
            "config", "schedule", "noise", "data", "training", "trajectory", "certificate", "verified", "tool",
        };

        public static Card Read(string text, string source)
        {
            Json document = Document(text, source);
            try
            {
                return CardOf(document, text);
            }
            catch (MissingFieldException error)
            {
                throw new GenFileException($"{source}: its card lacks the field '{error.Message}'", error);
            }
            catch (FormatException error)
            {
                throw new GenFileException($"{source}: its card has a malformed field: {error.Message}", error);
            }
        }

        /// <summary>The JSON object, once its length, depth and version are known to be ours.</summary>
        private static Json Document(string text, string source)
        {
            if (text.Length > longest)
            {
                throw new GenFileException(
                    $"{source}: expected a card of at most {longest} characters, found {text.Length}");
            }
            Json document = Parsed(text, source);
            long version = document["version"]?.Whole ?? 0;
            if (version < 1)
            {
                throw new GenFileException($"{source}: its card has no version, expected {newestVersion}");
            }
            return version <= newestVersion
                ? document
                : throw new GenFileException(
                    $"{source}: its card has version {version}, this package reads up to {newestVersion}: upgrade it");
        }

        private static Json Parsed(string text, string source)
        {
            try
            {
                return Json.Parse(text, deepest);
            }
            catch (JsonDepthException error)
            {
                throw new GenFileException(
                    $"{source}: expected a card at most {deepest} levels deep, found a deeper one", error);
            }
            catch (FormatException error)
            {
                throw new GenFileException($"{source}: its card is not JSON: {error.Message}", error);
            }
        }

        private static Card CardOf(Json document, string text)
        {
            var card = new Card
            {
                Version = Field.Whole(document, "version"),
                Family = Field.PlainName(Field.Of(document, "family")),
                Graph = Field.PlainName(Field.Of(document, "graph")),
                Summary = Field.TextOr(document, "summary", ""),
                Image = ImageShapeOf(Field.Of(document, "image")),
                Inputs = PortReader.ReadAll(Field.List(document, "inputs")),
                Outputs = PortReader.ReadAll(Field.List(document, "outputs")),
                Inner = PortReader.ReadAll(Field.ListOrEmpty(document, "inner")),
                Parts = Field.ListOrEmpty(document, "parts").Select(Field.PlainName).ToList(),
                Document = document,
                Text = text,
            };
            foreach (string section in sections.Where(name => document[name]?.IsNull == false))
            {
                Field.RequireObject(document[section], section);
            }
            foreach (Json row in Field.ListOrEmpty(document, "parity"))
            {
                Field.RequireObject(row, "parity");
            }
            RequireImageSizes(card.Inputs.Concat(card.Outputs), card.Image);
            return card;
        }

        private static ImageShape ImageShapeOf(Json fields)
        {
            Field.RequireOnly(fields, "image", "height", "width", "channels");
            return new ImageShape(Size(fields, "height"), Size(fields, "width"), Size(fields, "channels"));
        }

        private static int Size(Json fields, string name)
        {
            long size = Field.Whole(fields, name);
            return size >= 1 && size <= int.MaxValue
                ? (int)size
                : throw new FormatException($"image {name} must be a whole number of at least 1, found {size}");
        }

        /// <summary>Refuses ports that hold images of another size than the card says.</summary>
        private static void RequireImageSizes(IEnumerable<Port> ports, ImageShape image)
        {
            long[] planes = { image.Channels, image.Height, image.Width };
            long[] pixels = { image.Height, image.Width, image.Channels };
            foreach (Port port in ports.Where(port => port.Shape.Count == 4))
            {
                bool isPlanes = port.Name == "image" || port.Name == "x" || port.Name == "x0";
                long[] expected = isPlanes ? planes : pixels;
                bool isImage = isPlanes || port.Name == "images";
                if (isImage && !port.Shape.Skip(1).Select(axis => axis.Size ?? 0).SequenceEqual(expected))
                {
                    string found = string.Join(", ", port.Shape.Skip(1));
                    throw new FormatException(
                        $"port {port.Name}: expected images of {Text.Of(expected)}, found [{found}]");
                }
            }
        }
    }
}
