using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.ML.OnnxRuntime;

namespace GenRuntime.Bench
{
    /// <summary>The same call on a session of its own.</summary>
    internal sealed class Bare : IDisposable
    {
        private static readonly Type[] types =
        {
            typeof(bool), typeof(byte), typeof(int), typeof(long), typeof(float), typeof(double),
        };

        private readonly InferenceSession session;
        private readonly RunOptions options = new RunOptions();
        private readonly Dictionary<string, Tensor> inputs;
        private readonly string[] outputNames;
        private readonly OrtValue[] values;

        public Bare(Graph graph, Dictionary<string, Tensor> inputs)
        {
            using (var sessionOptions = new SessionOptions { IntraOpNumThreads = 1 })
            {
                sessionOptions.LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR;
                session = new InferenceSession(graph.Path, sessionOptions);
            }
            this.inputs = inputs;
            outputNames = graph.Card.Outputs.Select(port => port.Name).ToArray();
            values = Borrowed();
        }

        public static Type TypeOf(DType dtype) => types[(int)dtype];

        /// <summary>Runs on values that were made once, and looks at no output.</summary>
        public void Run() => session.Run(options, inputs.Keys, values, outputNames).Dispose();

        /// <summary>Runs on values made for the call, and copies the outputs, as an application has to.</summary>
        public void RunAndCopy()
        {
            OrtValue[] made = Borrowed();
            using (var outputs = session.Run(options, inputs.Keys, made, outputNames))
            {
                foreach (OrtValue output in outputs)
                {
                    output.GetTensorMutableRawData().ToArray();
                }
            }
            Array.ForEach(made, value => value.Dispose());
        }

        public void Dispose()
        {
            Array.ForEach(values, value => value.Dispose());
            options.Dispose();
            session.Dispose();
        }

        private OrtValue[] Borrowed() => inputs.Values.Select(Borrowed).ToArray();

        private static OrtValue Borrowed(Tensor tensor)
        {
            long[] shape = tensor.Shape.ToArray();
            switch (tensor.DType)
            {
                case DType.Bool:
                    return OrtValue.CreateTensorValueFromMemory(tensor.Values<bool>(), shape);
                case DType.Int64:
                    return OrtValue.CreateTensorValueFromMemory(tensor.Values<long>(), shape);
                case DType.Float32:
                    return OrtValue.CreateTensorValueFromMemory(tensor.Values<float>(), shape);
                default:
                    throw new NotSupportedException($"{tensor.DType}");
            }
        }
    }
}
