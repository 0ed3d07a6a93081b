using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using Microsoft.ML.OnnxRuntime;

namespace GenRuntime
{
    /// <summary>One opened file. Any number of threads may run it at once.</summary>
    public sealed class Graph
    {
        private readonly InferenceSession session;
        private readonly RunOptions runOptions;
        private readonly Port[] inputPorts;
        private readonly Port[] outputPorts;
        private readonly string[] outputNames;
        private NativeInputs idle;  // the last call's: a call that finds none, as another thread has it, makes its own
        private volatile bool disposed;

        /// <exception cref="GenFileException">The file is missing, broken or not one of ours.</exception>
        /// <exception cref="GenDeviceException">The device, or ONNX Runtime itself, is not there.</exception>
        internal Graph(string path, LoadOptions options)
        {
            Path = path;
            session = SessionFactory.Open(path, options, out Device device);
            Device = device;
            try
            {
                Card = CardOf(session, path);
                PortCheck.Require(path, Card, session);
            }
            catch
            {
                session.Dispose();
                throw;
            }
            runOptions = new RunOptions();
            inputPorts = Card.Inputs.ToArray();
            outputPorts = Card.Outputs.ToArray();
            outputNames = Card.Outputs.Select(port => port.Name).ToArray();
        }

        /// <summary>The file.</summary>
        public string Path { get; }

        /// <summary>What the file says of itself.</summary>
        public Card Card { get; }

        /// <summary>Where it runs.</summary>
        public Device Device { get; }

        /// <summary>Runs the graph on inputs by name.</summary>
        /// <exception cref="GenPortException">An input is missing, unknown, or not what its port says.</exception>
        /// <exception cref="ObjectDisposedException">The model is closed.</exception>
        public Outputs Run(Inputs inputs) => Run(inputs, Copied);

        /// <summary>Runs the graph on values in the order of its inputs.</summary>
        /// <exception cref="GenPortException">A value is missing, too many, or not what its port says.</exception>
        /// <exception cref="ObjectDisposedException">The model is closed.</exception>
        public Outputs Call(params Value[] values)
        {
            if (values.Length > Card.Inputs.Count)
            {
                throw new GenPortException(
                    $"{Card.Graph} takes {Card.Inputs.Count} inputs, found {values.Length}");
            }
            var inputs = new Inputs();
            for (int i = 0; i < values.Length; i++)
            {
                inputs.Add(Card.Inputs[i].Name, values[i]);
            }
            return Run(inputs);
        }

        /// <summary>Runs the graph, and reads its outputs while they last: they may lie in the inputs.</summary>
        internal T Run<T>(Inputs inputs, Func<NativeOutputs, T> read)
        {
            if (disposed)
            {
                throw new ObjectDisposedException(Path);
            }
            var given = new CheckedInputs(Card.Graph, inputPorts, inputs);
            NativeInputs values = Interlocked.Exchange(ref idle, null) ?? new NativeInputs();
            try
            {
                using (NativeOutputs outputs = Execute(given.Names, values.Fill(given)))
                {
                    RequireShapes(outputs, given.Axes);
                    return read(outputs);
                }
            }
            finally
            {
                values.Clear();
                Interlocked.Exchange(ref idle, values)?.Dispose();
            }
        }

        internal void Dispose()
        {
            disposed = true;
            idle?.Dispose();
            runOptions.Dispose();
            session.Dispose();
        }

        private static Card CardOf(InferenceSession session, string path)
        {
            if (session.ModelMetadata.CustomMetadataMap.TryGetValue(CardReader.Key, out string text))
            {
                return Card.Parse(text, path);
            }
            throw new GenFileException(
                $"{path}: an ONNX file without the metadata key '{CardReader.Key}': gen-export did not write it");
        }

        private NativeOutputs Execute(List<string> names, List<OrtValue> values)
        {
            try
            {
                return new NativeOutputs(session.Run(runOptions, names, values, outputNames));
            }
            catch (OnnxRuntimeException error)
            {
                throw new GenException($"{Path}: ONNX Runtime failed: {SessionFactory.FirstLine(error)}", error);
            }
        }

        private void RequireShapes(NativeOutputs outputs, FreeAxes axes)
        {
            for (int i = 0; i < outputPorts.Length; i++)
            {
                Port port = outputPorts[i];
                if (!axes.Fit(port, outputs.Shape(i)))
                {
                    string found = Text.Of(outputs.Shape(i));
                    throw new GenFileException(
                        $"{Path}: {port.Name}: its port says {axes.ShapeOf(port)}, found {found}");
                }
            }
        }

        private Outputs Copied(NativeOutputs outputs)
        {
            var tensors = new Dictionary<string, Tensor>();
            for (int i = 0; i < outputPorts.Length; i++)
            {
                tensors.Add(outputNames[i], outputs.Copy(i, outputPorts[i].Element));
            }
            return new Outputs(tensors[outputNames[0]], tensors);
        }
    }
}
