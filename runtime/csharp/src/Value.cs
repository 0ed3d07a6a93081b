using System;

namespace GenRuntime
{
    /// <summary>What a caller gives for an input: numbers, or the name of a choice.</summary>
    public sealed class Value
    {
        private Value(Tensor tensor, string choice)
        {
            Tensor = tensor;
            Choice = choice;
        }

        internal Tensor Tensor { get; }

        internal string Choice { get; }

        /// <summary>A tensor.</summary>
        public static implicit operator Value(Tensor tensor) => tensor == null ? null : new Value(tensor, null);

        /// <summary>An array in its own shape.</summary>
        /// <exception cref="GenPortException">It is no array of bool, byte, int, long, float or double.</exception>
        public static implicit operator Value(Array values) => values == null ? null : new Tensor(values);

        /// <summary>The name of a choice.</summary>
        public static implicit operator Value(string choice) => choice == null ? null : new Value(null, choice);

        /// <summary>A truth value.</summary>
        public static implicit operator Value(bool value) => Tensor.Single(DType.Bool, new[] { value });

        /// <summary>A whole number.</summary>
        public static implicit operator Value(long value) => Tensor.Single(DType.Int64, new[] { value });

        /// <summary>A number.</summary>
        public static implicit operator Value(double value) => Tensor.Single(DType.Float64, new[] { value });
    }
}
