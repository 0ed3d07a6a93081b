using System;
using System.Collections.Generic;
using Microsoft.ML.OnnxRuntime;

namespace GenRuntime
{
    /// <summary>What a run gave, in ONNX Runtime's memory until disposed.</summary>
    internal sealed class NativeOutputs : IDisposable
    {
        private readonly IDisposableReadOnlyCollection<OrtValue> values;
        private readonly long[][] shapes;

        public NativeOutputs(IDisposableReadOnlyCollection<OrtValue> values)
        {
            this.values = values;
            shapes = new long[values.Count][];
            for (int i = 0; i < shapes.Length; i++)
            {
                shapes[i] = values[i].GetTensorTypeAndShape().Shape;
            }
        }

        public long[] Shape(int index) => shapes[index];

        public Tensor Copy(int index, Element element) =>
            new Tensor(element, element.Read(values[index]), shapes[index]);

        /// <summary>Copies the images of an output, uint8 [n, H, W, C], and says how many they are.</summary>
        public int CopyImages(int index, Image[] images, int start)
        {
            int count = (int)shapes[index][0], height = (int)shapes[index][1];
            int width = (int)shapes[index][2], channels = (int)shapes[index][3];
            int size = height * width * channels;  // an int, as Sample requires
            ReadOnlySpan<byte> pixels = values[index].GetTensorDataAsSpan<byte>();
            for (int i = 0; i < count; i++)
            {
                images[start + i] = new Image(height, width, channels, pixels.Slice(i * size, size).ToArray());
            }
            return count;
        }

        public void Dispose() => values.Dispose();
    }
}
