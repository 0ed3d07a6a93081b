using System.Collections.Generic;
using System.Globalization;
using System.Linq;

namespace GenRuntime
{
    /// <summary>Numbers and lists in messages, the same words in every culture.</summary>
    internal static class Text
    {
        private const int longest = 40;

        public static string Of(IEnumerable<long> shape) => $"[{string.Join(", ", shape)}]";

        /// <summary>A number in six significant digits.</summary>
        public static string Of(double value) => value.ToString("g6", CultureInfo.InvariantCulture);

        /// <summary>A text in quotes and on one line, cut where it is long.</summary>
        public static string Quoted(string text)
        {
            var letters = text.Take(longest).Select(c => char.IsControl(c) ? $"\\u{(int)c:x4}" : $"{c}");
            return $"'{string.Concat(letters)}'";
        }

        public static string Names(IEnumerable<Port> ports) => string.Join(", ", ports.Select(port => port.Name));

        /// <summary>A single number itself, or a tensor's dtype.</summary>
        public static string Found(Tensor tensor)
        {
            if (!tensor.IsSingle)
            {
                return $"an array of {tensor.Element.Name}";
            }
            string format = tensor.Element.IsReal ? "{0:r}" : "{0}";  // the digits that give the float back
            string digits = string.Format(CultureInfo.InvariantCulture, format, tensor.Array.GetValue(0));
            return tensor.Element.IsReal ? WithPoint(digits) : digits;
        }

        /// <summary>A float's digits, with a point where they look like a whole number.</summary>
        private static string WithPoint(string digits) =>
            digits.All(c => c == '-' || char.IsDigit(c)) ? digits + ".0" : digits;
    }
}
