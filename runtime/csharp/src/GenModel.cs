using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;

namespace GenRuntime
{
    /// <summary>Graphs by name: the file that was loaded, and the parts beside it, opened when first called.</summary>
    /// <remarks>
    /// Any number of threads may call one model at once. Dispose it when no call is running; a call after that throws
    /// <see cref="ObjectDisposedException"/>.
    /// </remarks>
    public sealed class GenModel : IDisposable
    {
        private const long largestResult = 1L << 33;  // bytes
        private const string extension = ".onnx";

        private readonly Graph main;
        private readonly LoadOptions partOptions;
        private readonly Dictionary<string, Graph> opened = new Dictionary<string, Graph>();
        private bool disposed;

        private GenModel(Graph main, int threads)
        {
            this.main = main;
            partOptions = new LoadOptions { Device = main.Device, Threads = threads };
            opened.Add(main.Card.Graph, main);
        }

        /// <summary>The file that was loaded.</summary>
        public string Path => main.Path;

        /// <summary>What the file says of itself.</summary>
        public Card Card => main.Card;

        /// <summary>Where it runs.</summary>
        public Device Device => main.Device;

        /// <summary>The names that can be called: the file's own graph, then its parts.</summary>
        public IReadOnlyList<string> Graphs => new[] { Card.Graph }.Concat(Card.Parts).ToList();

        /// <summary>Opens <c>&lt;name&gt;.onnx</c>, or a part of it, <c>&lt;name&gt;.&lt;graph&gt;.onnx</c>.</summary>
        /// <param name="path">The file.</param>
        /// <param name="options">Where it runs and with how many threads.</param>
        /// <exception cref="GenFileException">The file is missing, broken, not one of ours, or too new.</exception>
        /// <exception cref="GenDeviceException">The device, or ONNX Runtime itself, is not there.</exception>
        public static GenModel Load(string path, LoadOptions options = null)
        {
            options = options ?? new LoadOptions();
            return new GenModel(new Graph(path, options), options.Threads);
        }

        /// <summary>The graph of this name, opened when it is first asked for.</summary>
        /// <exception cref="GenGraphException">The file declares no such graph.</exception>
        /// <exception cref="GenFileException">The part's file is missing, broken, or holds another graph.</exception>
        /// <exception cref="ObjectDisposedException">The model is closed.</exception>
        public Graph Graph(string name)
        {
            lock (opened)
            {
                if (disposed)
                {
                    throw new ObjectDisposedException(Path);
                }
                if (!opened.TryGetValue(name, out Graph graph))
                {
                    graph = OpenPart(name);
                    opened.Add(name, graph);
                }
                return graph;
            }
        }

        /// <summary>Runs a graph on inputs by name.</summary>
        /// <exception cref="GenGraphException">The file declares no such graph.</exception>
        /// <exception cref="GenFileException">The part's file is missing or broken.</exception>
        /// <exception cref="GenPortException">An input is missing, unknown, or not what its port says.</exception>
        public Outputs Run(string graph, Inputs inputs) => Graph(graph).Run(inputs);

        /// <summary>Runs a graph on values in the order of its inputs: <c>model.Call("denoise", x, t)</c>.</summary>
        /// <exception cref="GenGraphException">The file declares no such graph.</exception>
        /// <exception cref="GenFileException">The part's file is missing or broken.</exception>
        /// <exception cref="GenPortException">A value is missing, too many, or not what its port says.</exception>
        public Outputs Call(string graph, params Value[] values) => Graph(graph).Call(values);

        /// <summary>Calls the graph <c>encode</c>, as <see cref="Call"/> does.</summary>
        public Outputs Encode(params Value[] values) => Call("encode", values);

        /// <summary>Calls the graph <c>decode</c>, as <see cref="Call"/> does.</summary>
        public Outputs Decode(params Value[] values) => Call("decode", values);

        /// <summary>Calls the graph <c>reconstruct</c>, as <see cref="Call"/> does.</summary>
        public Outputs Reconstruct(params Value[] values) => Call("reconstruct", values);

        /// <summary>
        /// Draws images. Image i depends on the seed and on first + i alone: neither batch nor count changes it.
        /// </summary>
        /// <param name="count">How many, at least 1.</param>
        /// <param name="seed">Any long.</param>
        /// <param name="inputs">The file's further inputs: <c>first</c>, <c>steps</c>, <c>solver</c>.</param>
        /// <param name="batch">Images in a run of the graph: it bounds the memory.</param>
        /// <param name="progress">Told the images drawn so far, after each batch.</param>
        /// <param name="cancellationToken">Asked before each batch.</param>
        /// <exception cref="GenGraphException">The file declares no graph <c>sample</c>.</exception>
        /// <exception cref="GenFileException">What it declares draws no images.</exception>
        /// <exception cref="GenPortException">An input is unknown or not what its port says.</exception>
        /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
        public Image[] Sample(
            int count = 1,
            long seed = 0,
            Inputs inputs = null,
            int batch = 64,
            IProgress<int> progress = null,
            CancellationToken cancellationToken = default(CancellationToken))
        {
            Graph sampler = Graph("sample");
            RequireImages(sampler);
            RequirePositive("count", count);
            RequirePositive("batch", batch);
            RequireRoom(count, sampler.Card.Image);
            long largest = Math.Min(batch, int.MaxValue / sampler.Card.Image.Size);  // one run gives one array
            var given = inputs == null ? new Inputs() : new Inputs(inputs);
            RequireOnce(given, "count");
            RequireOnce(given, "seed");
            long first = FirstImage(given, count);
            given["seed"] = seed;
            var images = new Image[count];
            for (int done = 0; done < count;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                given["count"] = Math.Min(largest, count - done);
                if (done > 0)
                {
                    given["first"] = first + done;
                }
                int start = done;
                done += sampler.Run(given, outputs => outputs.CopyImages(0, images, start));
                progress?.Report(done);
            }
            return images;
        }

        /// <summary>Closes every file of the model that is open.</summary>
        public void Dispose()
        {
            lock (opened)
            {
                disposed = true;
                foreach (Graph graph in opened.Values)
                {
                    graph.Dispose();
                }
                opened.Clear();
            }
        }

        private static void RequirePositive(string name, int value)
        {
            if (value < 1)
            {
                throw new GenPortException($"sample: {name}: expected at least 1, found {value}");
            }
        }

        private static void RequireOnce(Inputs inputs, string name)
        {
            if (inputs.ContainsKey(name))
            {
                throw new GenPortException($"sample: {name} is given twice");
            }
        }

        /// <summary>The first image that the inputs ask for, if as many as count follow it.</summary>
        private static long FirstImage(Inputs inputs, int count)
        {
            if (!inputs.TryGetValue("first", out Value value))
            {
                return 0;
            }
            Array given = value?.Tensor?.Array;
            bool isWhole = value?.Tensor?.IsSingle == true && value.Tensor.Element.IsWhole;
            long first = isWhole
                ? Convert.ToInt64(given.GetValue(0))
                : throw new GenPortException("sample: first: expected one whole number");
            return first <= long.MaxValue - count
                ? first
                : throw new GenPortException(
                    $"sample: first + count: expected at most 2^63 - 1, found {first} + {count}");
        }

        /// <summary>Refuses a sampler whose card declares anything else than images of its own size.</summary>
        private static void RequireImages(Graph sampler)
        {
            ImageShape size = sampler.Card.Image;
            Port images = sampler.Card.Outputs.FirstOrDefault();
            string expected = $"[count, {size.Height}, {size.Width}, {size.Channels}]";
            string found = images == null ? "nothing" : $"{images.Element.Name} [{string.Join(", ", images.Shape)}]";
            if (found != $"uint8 {expected}")
            {
                throw new GenFileException($"{sampler.Path}: expected images, uint8 {expected}, found {found}");
            }
            if (size.Size > int.MaxValue)
            {
                throw new GenFileException(
                    $"{sampler.Path}: expected images of at most {int.MaxValue} bytes, found {size.Size}");
            }
        }

        private static void RequireRoom(int count, ImageShape size)
        {
            long most = largestResult / size.Size;
            if (count > most)
            {
                throw new GenPortException($"sample: count: expected at most {most}, found {count}");
            }
        }

        /// <summary>Opens a part and checks that it is the one meant.</summary>
        private Graph OpenPart(string name)
        {
            string path = PartPath(name);
            if (!File.Exists(path))
            {
                throw new GenFileException($"{Path} needs its part {name}: expected the file {path}");
            }
            var part = new Graph(path, partOptions);
            if (part.Card.Family == Card.Family && part.Card.Graph == name)
            {
                return part;
            }
            part.Dispose();
            throw new GenFileException(
                $"{path}: expected {Card.Family} {name}, found {part.Card.Family} {part.Card.Graph}");
        }

        private string PartPath(string name)
        {
            if (!Card.Parts.Contains(name))
            {
                string known = string.Join(", ", Graphs);
                throw new GenGraphException($"{Path} has no graph {Text.Quoted(name)}: it has {known}");
            }
            bool isOnnx = Path.EndsWith(extension, StringComparison.Ordinal);
            return $"{(isOnnx ? Path.Substring(0, Path.Length - extension.Length) : Path)}.{name}{extension}";
        }
    }
}
