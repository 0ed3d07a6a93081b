using System.Collections.Generic;

namespace GenRuntime
{
    /// <summary>One named, typed, bounded input or output.</summary>
    public sealed class Port
    {
        internal Port()
        {
        }

        /// <summary>The ONNX value's name.</summary>
        public string Name { get; internal set; }

        /// <summary>The type of its numbers.</summary>
        public DType DType => Element.DType;

        /// <summary>Its axes; none for a single number.</summary>
        /// <remarks>A free axis with the name of a scalar integer input has that input's value as its size.</remarks>
        public IReadOnlyList<Axis> Shape { get; internal set; }

        /// <summary>What it is, with its unit, in one phrase.</summary>
        public string Description { get; internal set; }

        /// <summary>The least allowed value; null where there is none.</summary>
        public double? Minimum { get; internal set; }

        /// <summary>The greatest allowed value; null where there is none.</summary>
        public double? Maximum { get; internal set; }

        /// <summary>The value used when the caller leaves it out; null where there is none.</summary>
        public double? Default { get; internal set; }

        /// <summary>Whether the caller may leave it out.</summary>
        public bool Optional { get; internal set; }

        /// <summary>Names of the values 0, 1, ..; a caller may give the name.</summary>
        public IReadOnlyList<string> Choices { get; internal set; }

        internal Element Element { get; set; }
    }
}
