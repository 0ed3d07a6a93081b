using System;
using System.Globalization;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace GenRuntime
{
    /// <summary>An element of one C# type. The delegates name the type, for compilers that run ahead of time.</summary>
    internal sealed class Element<T> : Element where T : struct, IComparable<T>, IConvertible
    {
        private const double beyondWhole = 9223372036854775808.0;  // 2^63, the first float that no long holds

        public Element(DType dtype, TensorElementType onnxType) : base(dtype, onnxType)
        {
        }

        public Func<T[], long[], OrtValue> Borrow { private get; set; }

        public Func<OrtValue, T[]> Copy { private get; set; }

        public Converter<long, T> FromWhole { private get; set; }

        public Converter<double, T> FromReal { private get; set; }

        public long Least { private get; set; }

        public long Greatest { private get; set; }

        public override bool IsWhole => FromWhole != null;

        public override bool IsReal => FromReal != null;

        public override bool Holds(Type type) => type == typeof(T);

        public override OrtValue AsOrtValue(Array values, long[] shape) => Borrow((T[])values, shape);

        public override Array Read(OrtValue value) => Copy(value);

        public override Array Cast(Element from, Array values, bool single)
        {
            if (from == this)
            {
                return values;
            }
            if (IsWhole && from.IsWhole)
            {
                long[] wholes = Widened<long>(values);
                return Array.TrueForAll(wholes, whole => Least <= whole && whole <= Greatest)
                    ? Array.ConvertAll(wholes, FromWhole)
                    : null;
            }
            if (IsReal && from.IsReal)
            {
                return Array.ConvertAll(Widened<double>(values), FromReal);
            }
            return IsReal && from.IsWhole && single ? Exactly(Widened<long>(values)[0]) : null;
        }

        public override void FindRange(Array values, out double least, out double greatest)
        {
            var numbers = (T[])values;
            T low = numbers[0], high = numbers[0];
            foreach (T number in numbers)
            {
                if (number.CompareTo(low) < 0)
                {
                    low = number;
                }
                if (number.CompareTo(high) > 0)
                {
                    high = number;
                }
            }
            least = low.ToDouble(CultureInfo.InvariantCulture);
            greatest = high.ToDouble(CultureInfo.InvariantCulture);
        }

        /// <summary>The numbers as the widest type of their kind.</summary>
        private static TWide[] Widened<TWide>(Array values)
        {
            var wide = new TWide[values.Length];
            Array.Copy(values, wide, wide.Length);
            return wide;
        }

        private T[] Exactly(long whole)
        {
            T real = FromReal(whole);
            double back = real.ToDouble(CultureInfo.InvariantCulture);
            return back < beyondWhole && (long)back == whole ? new[] { real } : null;
        }
    }
}
