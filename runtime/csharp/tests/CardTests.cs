using System;
using System.Linq;
using System.Text;

namespace GenRuntime.Tests
{
    /// <summary>Cards of strangers: what is missing or malformed is refused by name.</summary>
    internal static class CardTests
    {
        private const string card =
            "{'version': 1, 'family': 'vae', 'graph': 'encode', 'image': {'height': 8, 'width': 6, 'channels': 1}, "
            + "'inputs': [{'name': 'image', 'dtype': 'float32', 'shape': ['batch', 1, 8, 6], 'minimum': -1}], "
            + "'outputs': [{'name': 'mu', 'dtype': 'float32', 'shape': ['batch', 2]}], 'parts': ['decode']}";

        public static void A_card_says_what_its_document_says()
        {
            Card read = Parse(card);
            Port image = read.Inputs.Single();
            Check.Same(new[] { "vae", "encode" }, new[] { read.Family, read.Graph }, "names");
            Check.Equal("decode", read.Parts.Single());
            Check.Same(new[] { "batch", "1", "8", "6" }, image.Shape.Select(axis => axis.ToString()), "shape");
            Check.Equal(DType.Float32, image.DType);
            Check.Equal(-1.0, image.Minimum);
            Check.That(image.Maximum == null && !image.Optional && image.Choices.Count == 0, "what is left out");
            Check.Equal(6, read.Image.Width);
            Check.Equal("vae", read.Document["family"].Text);
        }

        public static void A_missing_field_is_named()
        {
            foreach (string field in new[] { "family", "graph", "image", "inputs", "outputs" })
            {
                RequireRefused($"'{field}'", "'other'", $"its card lacks the field '{field}'");
            }
            RequireRefused("'dtype': 'float32', 'shape'", "'shape'", "its card lacks the field 'dtype'");
            RequireRefused("'height': 8, ", "", "its card lacks the field 'height'");
        }

        public static void A_malformed_field_is_refused()
        {
            RequireMalformed("'vae'", "'../vae'", "expected a name of a-z, 0-9 and _, found '../vae'");
            RequireMalformed("'vae'", "'vae\\n'", "expected a name of a-z, 0-9 and _");
            RequireMalformed("'decode'", "7", "expected a name of a-z, 0-9 and _");
            RequireMalformed("'height': 8", "'height': 0", "image height must be a whole number of at least 1");
            RequireMalformed("'height': 8", "'height': 8.5", "height must be a whole number");
            RequireMalformed("'channels': 1", "'channels': 1, 'depth': 1", "image has a field 'depth'");
            RequireMalformed("'float32'", "'float16'", "port image: dtype 'float16' is unknown");
            RequireMalformed("'float32'", "'FLOAT32'", "port image: dtype 'FLOAT32' is unknown");
            RequireMalformed("['batch', 2]", "['batch', 0]", "port mu: a size must be at least 1, found 0");
            RequireMalformed("['batch', 2]", "['a b', 2]", "port mu: a free axis must be an identifier, found 'a b'");
            RequireMalformed("['batch', 2]", "'batch'", "shape must be a list");
            RequireMalformed("-1", "'-1'", "port image: minimum must be a finite number");
            RequireMalformed("'minimum': -1", "'optional': 1", "port image: optional must be true or false");
            RequireMalformed("'minimum': -1", "'choices': ['a', 2]", "port image: a choice must be an identifier");
            RequireMalformed("'minimum': -1", "'unit': 1", "a port has a field 'unit'");
            RequireMalformed("'parts': ['decode']", "'parts': null", "parts must be a list");
            RequireMalformed("'parts'", "'inner': [1], 'parts'", "a port must be an object");
            RequireMalformed("'parts'", "'data': [], 'parts'", "data must be an object");
            RequireMalformed("'parts'", "'parity': [1], 'parts'", "parity must be an object");
            RequireMalformed("'parts'", "'summary': 1, 'parts'", "summary must be text");
        }

        public static void Ports_with_images_of_another_size_are_refused()
        {
            RequireMalformed("1, 8, 6]", "1, 6, 8]", "port image: expected images of [1, 8, 6], found [1, 6, 8]");
            RequireMalformed(
                "'mu', 'dtype': 'float32', 'shape': ['batch', 2]",
                "'images', 'dtype': 'uint8', 'shape': ['count', 1, 8, 6]",
                "port images: expected images of [8, 6, 1], found [1, 8, 6]");
        }

        public static void Another_version_is_refused()
        {
            RequireRefused("'version': 1", "'version': 2", "version 2, this package reads up to 1: upgrade it");
            foreach (string version in new[] { "0", "1.0", "true", "null", "'1'" })
            {
                RequireRefused("'version': 1", $"'version': {version}", "its card has no version, expected 1");
            }
            Check.Refused<GenFileException>(() => Parse("[]"), "a.onnx: its card has no version, expected 1");
        }

        public static void A_card_that_is_too_long_is_refused() =>
            Check.Refused<GenFileException>(
                () => Card.Parse(new string(' ', (1 << 20) + 1), "a.onnx"),
                "a.onnx: expected a card of at most 1048576 characters, found 1048577");

        /// <summary>A card with some characters changed, cut out or doubled: any other exception fails.</summary>
        public static string A_broken_card_is_read_or_refused_by_name()
        {
            var random = new Random(7);
            string text;
            using (GenModel model = Suite.Load("gaussian"))
            {
                text = model.Card.Text;
            }
            int refused = Enumerable.Range(0, 20000).Count(round => IsRefused(Broken(text, random)));
            Check.That(refused > 10000, $"{refused} refused");
            return $"{refused} of 20000 refused";
        }

        private static bool IsRefused(string text)
        {
            try
            {
                Card.Parse(text, "a.onnx");
                return false;
            }
            catch (GenFileException)
            {
                return true;
            }
        }

        private static string Broken(string text, Random random)
        {
            var broken = new StringBuilder(text);
            for (int change = random.Next(3); change >= 0; change--)
            {
                int at = random.Next(broken.Length), length = random.Next(20);
                switch (random.Next(4))
                {
                    case 0:
                        broken[at] = (char)random.Next(256);
                        break;
                    case 1:
                        broken.Remove(at, Math.Min(length + 1, broken.Length - at));
                        break;
                    case 2:
                        int from = random.Next(broken.Length);
                        broken.Insert(at, broken.ToString(from, Math.Min(length, broken.Length - from)));
                        break;
                    default:
                        broken[at] = "{}[]\",:0-9.eE\\"[random.Next(14)];
                        break;
                }
            }
            return broken.ToString();
        }

        private static void RequireMalformed(string old, string changed, string says) =>
            RequireRefused(old, changed, $"a.onnx: its card has a malformed field: {says}");

        private static void RequireRefused(string old, string changed, string says)
        {
            int at = card.IndexOf(old, StringComparison.Ordinal);
            Check.That(at >= 0, $"the card has no {old}");
            string text = card.Remove(at, old.Length).Insert(at, changed);
            Check.Refused<GenFileException>(() => Parse(text), says);
        }

        private static Card Parse(string text) => Card.Parse(text.Replace('\'', '"'), "a.onnx");
    }
}
