using System;
using System.Collections.Generic;
using System.Linq;

namespace GenRuntime
{
    /// <summary>Numbers of one dtype in a shape, row-major.</summary>
    public sealed class Tensor
    {
        private static readonly long[] noAxes = new long[0];

        private readonly long[] shape;

        /// <summary>Numbers in the array's own shape, <c>new float[,] { .. }</c>.</summary>
        /// <exception cref="GenPortException">It is no array of bool, byte, int, long, float or double.</exception>
        public Tensor(Array values) : this(values, OwnShape(values))
        {
        }

        /// <summary>Numbers in row-major order. A one-dimensional array is shared, any other is copied.</summary>
        /// <exception cref="GenPortException">
        /// It is no array of bool, byte, int, long, float or double, or the shape has another number of them.
        /// </exception>
        public Tensor(Array values, params long[] shape)
            : this(ElementOf(values), values.Rank == 1 ? values : Flat(values), shape)
        {
            if (shape.Any(axis => axis < 0) || values.Length != shape.Aggregate(1.0, (size, axis) => size * axis))
            {
                throw new GenPortException(
                    $"expected as many values as the shape {Text.Of(shape)} has, found {values.Length}");
            }
        }

        internal Tensor(Element element, Array values, long[] shape)
        {
            Element = element;
            Array = values;
            this.shape = shape;
        }

        /// <summary>The type of the numbers.</summary>
        public DType DType => Element.DType;

        /// <summary>The size of each axis; none for a single number.</summary>
        public IReadOnlyList<long> Shape => shape;

        /// <summary>How many numbers there are.</summary>
        public int Length => Array.Length;

        internal Element Element { get; }

        internal Array Array { get; }

        internal long[] Sizes => shape;

        internal bool IsSingle => shape.Length == 0;

        /// <summary>A single number, of no axes.</summary>
        /// <exception cref="GenPortException">It is no bool, byte, int, long, float or double.</exception>
        public static Tensor Single<T>(T value) where T : struct => new Tensor(new[] { value }, noAxes);

        /// <summary>The numbers themselves, in row-major order.</summary>
        /// <exception cref="GenPortException">They are of another type.</exception>
        public T[] Values<T>() where T : struct
        {
            if (Element.Holds(typeof(T)))
            {
                return (T[])Array;
            }
            string expected = Element.Of(typeof(T))?.Name ?? typeof(T).Name;
            throw new GenPortException($"expected a tensor of {expected}, found one of {Element.Name}");
        }

        /// <summary>The only number.</summary>
        /// <exception cref="GenPortException">There are more or fewer, or it is of another type.</exception>
        public T Item<T>() where T : struct
        {
            if (Length == 1)
            {
                return Values<T>()[0];
            }
            throw new GenPortException($"expected a tensor of one value, found the shape {Text.Of(shape)}");
        }

        /// <summary>A single number, in an array of the dtype's.</summary>
        internal static Tensor Single(DType dtype, Array value) => new Tensor(Element.Of(dtype), value, noAxes);

        private static Element ElementOf(Array values)
        {
            Type type = values?.GetType().GetElementType();
            return type != null && Element.Of(type) is Element element
                ? element
                : throw new GenPortException(
                    $"expected an array of bool, byte, int, long, float or double, found {type?.Name ?? "none"}");
        }

        private static long[] OwnShape(Array values)
        {
            ElementOf(values);
            return Enumerable.Range(0, values.Rank).Select(values.GetLongLength).ToArray();
        }

        private static Array Flat(Array values)
        {
            Array flat = Array.CreateInstance(values.GetType().GetElementType(), values.Length);
            Buffer.BlockCopy(values, 0, flat, 0, Buffer.ByteLength(values));
            return flat;
        }
    }
}
