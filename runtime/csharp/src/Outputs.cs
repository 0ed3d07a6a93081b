using System.Collections.Generic;
using System.Collections.ObjectModel;

namespace GenRuntime
{
    /// <summary>Tensors by the names of outputs.</summary>
    public sealed class Outputs : ReadOnlyDictionary<string, Tensor>
    {
        internal Outputs(Tensor first, IDictionary<string, Tensor> tensors) : base(tensors)
        {
            First = first;
        }

        /// <summary>The first output of the graph, and of most graphs the only one.</summary>
        public Tensor First { get; }

        /// <summary>The numbers of the first output: <c>float[] mu = model.Encode(image);</c>.</summary>
        /// <exception cref="GenPortException">They are no floats.</exception>
        public static implicit operator float[](Outputs outputs) => outputs.First.Values<float>();
    }
}
