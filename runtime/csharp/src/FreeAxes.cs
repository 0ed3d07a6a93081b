using System;
using System.Collections.Generic;
using System.Linq;

namespace GenRuntime
{
    /// <summary>The sizes of a call's free axes, as far as they are known.</summary>
    internal sealed class FreeAxes
    {
        private readonly List<KeyValuePair<string, long>> sizes = new List<KeyValuePair<string, long>>();

        /// <summary>Notes the value of a scalar integer input: an axis may have its name.</summary>
        public void Note(Port port, Tensor tensor)
        {
            if (!tensor.IsSingle)
            {
                return;
            }
            if (tensor.Array is long[] wholes)
            {
                Add(port.Name, wholes[0]);
            }
            else if (tensor.Array is int[] small)
            {
                Add(port.Name, small[0]);
            }
        }

        /// <summary>Whether a shape is the port's, with no empty axis; notes axes it is the first to have.</summary>
        public bool Fit(Port port, long[] shape)
        {
            bool same = shape.Length == port.Shape.Count && Array.IndexOf(shape, 0L) < 0;
            for (int i = 0; same && i < shape.Length; i++)
            {
                Axis axis = port.Shape[i];
                long? expected = axis.Size ?? SizeOf(axis.Name);
                if (expected == null)
                {
                    Add(axis.Name, shape[i]);
                }
                same = expected == null || expected == shape[i];
            }
            return same;
        }

        /// <summary>The port's shape with the known sizes: <c>[batch=2, 1, 28, 28]</c>.</summary>
        public string ShapeOf(Port port) => $"[{string.Join(", ", port.Shape.Select(TextOf))}]";

        private void Add(string name, long size) => sizes.Add(new KeyValuePair<string, long>(name, size));

        private long? SizeOf(string name)
        {
            foreach (KeyValuePair<string, long> size in sizes)
            {
                if (size.Key == name)
                {
                    return size.Value;
                }
            }
            return null;
        }

        private string TextOf(Axis axis) =>
            axis.Name != null && SizeOf(axis.Name) is long size ? $"{axis}={size}" : axis.ToString();
    }
}
