using System;
using System.Collections.Generic;
using Microsoft.ML.OnnxRuntime;

namespace GenRuntime
{
    /// <summary>ONNX Runtime's values of a call's inputs; those of single numbers are kept for the next call.</summary>
    /// <remarks>To make one takes a microsecond, which a small model's call would feel.</remarks>
    internal sealed class NativeInputs : IDisposable
    {
        private readonly Dictionary<string, KeyValuePair<Array, OrtValue>> singles =
            new Dictionary<string, KeyValuePair<Array, OrtValue>>();

        private readonly List<OrtValue> borrowed = new List<OrtValue>();
        private readonly List<OrtValue> values = new List<OrtValue>();

        /// <summary>The values of tensors; of more than a single number, on the tensor's own memory.</summary>
        public List<OrtValue> Fill(CheckedInputs given)
        {
            for (int i = 0; i < given.Tensors.Count; i++)
            {
                Tensor tensor = given.Tensors[i];
                values.Add(tensor.IsSingle ? Single(given.Names[i], tensor) : Borrowed(tensor));
            }
            return values;
        }

        /// <summary>Lets the tensors' memory go.</summary>
        public void Clear()
        {
            borrowed.ForEach(value => value.Dispose());
            borrowed.Clear();
            values.Clear();
        }

        public void Dispose()
        {
            Clear();
            foreach (KeyValuePair<Array, OrtValue> single in singles.Values)
            {
                single.Value.Dispose();
            }
        }

        private OrtValue Single(string name, Tensor tensor)
        {
            if (!singles.TryGetValue(name, out KeyValuePair<Array, OrtValue> kept))
            {
                Array memory = Array.CreateInstance(tensor.Array.GetType().GetElementType(), 1);
                OrtValue value = tensor.Element.AsOrtValue(memory, tensor.Sizes);
                kept = new KeyValuePair<Array, OrtValue>(memory, value);
                singles.Add(name, kept);
            }
            Array.Copy(tensor.Array, kept.Key, 1);
            return kept.Value;
        }

        private OrtValue Borrowed(Tensor tensor)
        {
            OrtValue value = tensor.Element.AsOrtValue(tensor.Array, tensor.Sizes);
            borrowed.Add(value);
            return value;
        }
    }
}
