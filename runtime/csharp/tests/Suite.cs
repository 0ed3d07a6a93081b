using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;

namespace GenRuntime.Tests
{
    /// <summary>The conformance suite's cases, values and calls.</summary>
    internal static class Suite
    {
        private static readonly Lazy<Json> document =
            new Lazy<Json>(() => Json.Parse(File.ReadAllText(Path.Combine(Folders.Suite, "golden.json")), 16));

        public static IEnumerable<Json> Models => document.Value["models"].Items;

        public static IEnumerable<Json> Answers => Cases.Where(entry => entry["error"] == null);

        public static IEnumerable<Json> Refusals => Cases.Where(entry => entry["error"] != null);

        private static IEnumerable<Json> Cases => document.Value["cases"].Items;

        public static GenModel Load(string file) =>
            GenModel.Load(
                Path.Combine(Folders.Suite, file + ".onnx"), new LoadOptions { Device = Device.Cpu, Threads = 1 });

        /// <summary>Every model of the suite by its file's name; none has opened a part yet.</summary>
        public static Dictionary<string, GenModel> LoadAll() =>
            Models.ToDictionary(entry => entry["file"].Text, entry => Load(entry["file"].Text));

        /// <summary>The outputs of a case.</summary>
        public static IReadOnlyDictionary<string, Tensor> Call(GenModel model, Json entry)
        {
            if (entry["graph"] == null)
            {
                return null;
            }
            IReadOnlyDictionary<string, Json> given = entry["inputs"].Members;
            var inputs = new Inputs(given.ToDictionary(item => item.Key, item => ValueOf(item.Value)));
            return entry["batch"] == null ? model.Run(entry["graph"].Text, inputs) : Sample(model, entry, inputs);
        }

        public static void RequireAnswer(GenModel model, Json entry)
        {
            IReadOnlyDictionary<string, Tensor> found = Call(model, entry);
            IReadOnlyDictionary<string, Json> expected = entry["outputs"].Members;
            Check.Equal(expected.Count, found.Count, entry["name"].Text);
            foreach (string name in expected.Keys)
            {
                string what = $"{entry["name"].Text}: {name}";
                RequireEqual(TensorOf(expected[name]), found[name], entry["tolerance"]?.Number ?? 0, what);
            }
        }

        /// <summary>Refuses another dtype, shape or value; floats may be tolerance max(1, |expected|) apart.</summary>
        public static void RequireEqual(Tensor expected, Tensor found, double tolerance, string what)
        {
            Check.Equal(expected.DType, found.DType, what);
            Check.Same(expected.Shape, found.Shape, what);
            if (tolerance == 0 || expected.DType < DType.Float32)
            {
                Check.Same(ValuesOf(expected), ValuesOf(found), what);
                return;
            }
            foreach (var pair in ValuesOf(expected).Zip(ValuesOf(found), Tuple.Create))
            {
                double a = Convert.ToDouble(pair.Item1), b = Convert.ToDouble(pair.Item2);
                Check.That(Math.Abs(a - b) <= tolerance * Math.Max(1, Math.Abs(a)), $"{what}: expected {a}, found {b}");
            }
        }

        /// <summary>A tensor as the suite writes it.</summary>
        public static Tensor TensorOf(Json value)
        {
            long[] shape = value["shape"].Items.Select(size => size.Whole.Value).ToArray();
            int length = (int)shape.Aggregate(1L, (size, axis) => size * axis);
            Type type = TypeOf(value["dtype"].Text);
            Array values = Array.CreateInstance(type, length);
            bool isWhole = type != typeof(float) && type != typeof(double);
            for (int i = 0; i < length; i++)
            {
                object number = value["seed"] != null ? Drawn(value, isWhole, i) : NumberOf(value["values"].Items[i]);
                values.SetValue(Convert.ChangeType(number, type), i);
            }
            return new Tensor(values, shape);
        }

        private static Value ValueOf(Json value) =>
            value["choice"] != null ? (Value)value["choice"].Text : TensorOf(value);

        private static IEnumerable<object> ValuesOf(Tensor tensor)
        {
            switch (tensor.DType)
            {
                case DType.Bool:
                    return tensor.Values<bool>().Cast<object>();
                case DType.UInt8:
                    return tensor.Values<byte>().Cast<object>();
                case DType.Int32:
                    return tensor.Values<int>().Cast<object>();
                case DType.Int64:
                    return tensor.Values<long>().Cast<object>();
                case DType.Float32:
                    return tensor.Values<float>().Cast<object>();
                default:
                    return tensor.Values<double>().Cast<object>();
            }
        }

        private static IReadOnlyDictionary<string, Tensor> Sample(GenModel model, Json entry, Inputs inputs)
        {
            int count = (int)entry["inputs"]["count"]["values"].Items[0].Whole.Value;
            long seed = TensorOf(entry["inputs"]["seed"]).Item<long>();
            inputs.Remove("count");
            inputs.Remove("seed");
            Image[] images = model.Sample(count, seed, inputs, (int)entry["batch"].Whole.Value);
            var pixels = new Tensor(
                images.SelectMany(image => image.Pixels).ToArray(),
                images.Length,
                images[0].Height,
                images[0].Width,
                images[0].Channels);
            return new Dictionary<string, Tensor> { { "images", pixels } };
        }

        private static Type TypeOf(string dtype)
        {
            Type[] types = { typeof(bool), typeof(byte), typeof(int), typeof(long), typeof(float), typeof(double) };
            return types[(int)Enum.Parse(typeof(DType), dtype, ignoreCase: true)];
        }

        /// <summary>One number as the suite writes it: large whole ones are text.</summary>
        private static object NumberOf(Json value) =>
            value.Text != null ? long.Parse(value.Text) : (object)value.Boolean ?? (object)value.Whole ?? value.Number;

        /// <summary>Value i of the suite's drawn numbers.</summary>
        private static object Drawn(Json value, bool isWhole, int i)
        {
            double u = (SplitMix64((ulong)value["seed"].Whole.Value + (ulong)i) >> 40) * Math.Pow(2, -24);
            double low = value["low"].Number.Value, high = value["high"].Number.Value;
            return isWhole ? low + Math.Floor((high - low + 1) * u) : low + (high - low) * u;
        }

        private static ulong SplitMix64(ulong x)
        {
            ulong z = x + 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }
}
