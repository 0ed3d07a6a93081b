using System;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace GenRuntime
{
    /// <summary>What can be done with arrays of one dtype.</summary>
    internal abstract class Element
    {
        // In the order of DType.
        private static readonly Element[] all =
        {
            new Element<bool>(DType.Bool, TensorElementType.Bool)
            {
                Borrow = (values, shape) => OrtValue.CreateTensorValueFromMemory(values, shape),
                Copy = value => value.GetTensorDataAsSpan<bool>().ToArray(),
            },
            new Element<byte>(DType.UInt8, TensorElementType.UInt8)
            {
                Borrow = (values, shape) => OrtValue.CreateTensorValueFromMemory(values, shape),
                Copy = value => value.GetTensorDataAsSpan<byte>().ToArray(),
                FromWhole = whole => (byte)whole,
                Least = byte.MinValue,
                Greatest = byte.MaxValue,
            },
            new Element<int>(DType.Int32, TensorElementType.Int32)
            {
                Borrow = (values, shape) => OrtValue.CreateTensorValueFromMemory(values, shape),
                Copy = value => value.GetTensorDataAsSpan<int>().ToArray(),
                FromWhole = whole => (int)whole,
                Least = int.MinValue,
                Greatest = int.MaxValue,
            },
            new Element<long>(DType.Int64, TensorElementType.Int64)
            {
                Borrow = (values, shape) => OrtValue.CreateTensorValueFromMemory(values, shape),
                Copy = value => value.GetTensorDataAsSpan<long>().ToArray(),
                FromWhole = whole => whole,
                Least = long.MinValue,
                Greatest = long.MaxValue,
            },
            new Element<float>(DType.Float32, TensorElementType.Float)
            {
                Borrow = (values, shape) => OrtValue.CreateTensorValueFromMemory(values, shape),
                Copy = value => value.GetTensorDataAsSpan<float>().ToArray(),
                FromReal = real => (float)real,
            },
            new Element<double>(DType.Float64, TensorElementType.Double)
            {
                Borrow = (values, shape) => OrtValue.CreateTensorValueFromMemory(values, shape),
                Copy = value => value.GetTensorDataAsSpan<double>().ToArray(),
                FromReal = real => real,
            },
        };

        protected Element(DType dtype, TensorElementType onnxType)
        {
            DType = dtype;
            Name = dtype.ToString().ToLowerInvariant();
            OnnxType = onnxType;
        }

        public DType DType { get; }

        /// <summary>The dtype as cards and messages write it: <c>float32</c>.</summary>
        public string Name { get; }

        public TensorElementType OnnxType { get; }

        public abstract bool IsWhole { get; }

        public abstract bool IsReal { get; }

        public static Element Of(DType dtype) => all[(int)dtype];

        /// <summary>The element of a C# type; null where a tensor cannot hold it.</summary>
        public static Element Of(Type type) => Array.Find(all, element => element.Holds(type));

        /// <summary>The element of a dtype's name; null where there is none.</summary>
        public static Element Named(string name) => Array.Find(all, element => element.Name == name);

        public abstract bool Holds(Type type);

        /// <summary>An ONNX Runtime value on the array's own memory.</summary>
        public abstract OrtValue AsOrtValue(Array values, long[] shape);

        /// <summary>A copy of an ONNX Runtime value's numbers.</summary>
        public abstract Array Read(OrtValue value);

        /// <summary>The numbers of another dtype as this one's; null where it cannot hold them all.</summary>
        /// <remarks>
        /// Whole numbers go to whole types that hold them, and floats to floats: beyond float32 they become infinite. A
        /// single whole number also goes to a float type that holds it exactly.
        /// </remarks>
        public abstract Array Cast(Element from, Array values, bool single);

        /// <summary>The least and the greatest number, of at least one; the least is NaN where one is.</summary>
        public abstract void FindRange(Array values, out double least, out double greatest);
    }
}
