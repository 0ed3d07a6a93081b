using System;
using System.Globalization;

namespace GenRuntime.Examples
{
    /// <summary>What the command line asks for.</summary>
    internal sealed class Arguments
    {
        private const string usage =
            "usage: GenSample MODEL.onnx [--seed N] [--count N] [--first N] [--ppm FILE] [--columns N]\n"
            + "                 [--device auto|cpu|cuda] [--threads N] [--set NAME=VALUE]...";

        public string Model { get; private set; }

        public string Ppm { get; private set; } = "out.ppm";

        public long Seed { get; private set; }

        public int Count { get; private set; } = 16;

        public int Columns { get; private set; }

        public Inputs Inputs { get; } = new Inputs();

        public LoadOptions Load { get; } = new LoadOptions();

        /// <exception cref="FormatException">An option is unknown, or its value is not what it takes.</exception>
        public static Arguments Parse(string[] words)
        {
            var arguments = new Arguments();
            for (int i = 0; i < words.Length; i++)
            {
                if (!words[i].StartsWith("--", StringComparison.Ordinal))
                {
                    arguments.SetModel(words[i]);
                }
                else if (i + 1 < words.Length)
                {
                    arguments.Set(words[i], words[++i]);
                }
                else
                {
                    throw new FormatException($"{words[i]} needs a value");
                }
            }
            return arguments.Model != null ? arguments : throw new FormatException($"expected a model\n{usage}");
        }

        private void SetModel(string path) =>
            Model = Model == null ? path : throw new FormatException($"expected one model, found '{path}' as well");

        private void Set(string option, string value)
        {
            switch (option)
            {
                case "--seed":
                    Seed = Whole(option, value);
                    break;
                case "--count":
                    Count = Small(option, value);
                    break;
                case "--columns":
                    Columns = Small(option, value);
                    break;
                case "--first":
                    Inputs["first"] = Whole(option, value);
                    break;
                case "--threads":
                    Load.Threads = Small(option, value);
                    break;
                case "--device":
                    Load.Device = DeviceNamed(option, value);
                    break;
                case "--ppm":
                    Ppm = value;
                    break;
                case "--set":
                    SetInput(option, value);
                    break;
                default:
                    throw new FormatException($"unknown option {option}");
            }
        }

        /// <summary>NAME=VALUE as an input: a whole number, another number, or the name of a choice.</summary>
        private void SetInput(string option, string assignment)
        {
            int at = assignment.IndexOf('=');
            if (at < 0)
            {
                throw new FormatException($"{option}: expected NAME=VALUE, found '{assignment}'");
            }
            Inputs[assignment.Substring(0, at)] = ValueOf(assignment.Substring(at + 1));
        }

        private static Value ValueOf(string text)
        {
            if (long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole))
            {
                return whole;
            }
            return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double real)
                ? real
                : (Value)text;
        }

        private static long Whole(string option, string text) =>
            long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long number)
                ? number
                : throw new FormatException($"{option}: expected a whole number, found '{text}'");

        private static int Small(string option, string text)
        {
            long number = Whole(option, text);
            return number == (int)number
                ? (int)number
                : throw new FormatException($"{option}: expected a number of 32 bits, found '{text}'");
        }

        private static Device DeviceNamed(string option, string name)
        {
            switch (name)
            {
                case "auto":
                    return Device.Auto;
                case "cpu":
                    return Device.Cpu;
                case "cuda":
                    return Device.Cuda;
                default:
                    throw new FormatException($"{option}: expected auto, cpu or cuda, found '{name}'");
            }
        }
    }
}
