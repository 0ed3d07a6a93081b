// What this library adds to a bare call of ONNX Runtime: Overhead.exe MODEL.onnx [GRAPH] [ROUNDS]
//
// One image of a sampler, or a graph at batch 1, is run in turns through GenModel and through InferenceSession.Run; the
// figures are medians of wall-clock microseconds, and their difference is what we add.

using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;

namespace GenRuntime.Bench
{
    internal static class Overhead
    {
        private const int inARow = 10;
        private const int warmUp = 20;  // rounds: the first ones compile and allocate

        private static int Main(string[] arguments)
        {
            if (arguments.Length == 0)
            {
                Console.Error.WriteLine("usage: Overhead.exe MODEL.onnx [GRAPH] [ROUNDS]");
                return 1;
            }
            using (var model = GenModel.Load(arguments[0], new LoadOptions { Device = Device.Cpu, Threads = 1 }))
            {
                string name = arguments.Length > 1 ? arguments[1] : model.Card.Graph;
                Graph graph = model.Graph(name);
                Dictionary<string, Tensor> tensors = SmallestInputs(graph.Card);
                var inputs = new Inputs(tensors.ToDictionary(item => item.Key, item => (Value)item.Value));
                int rounds = arguments.Length > 2 ? int.Parse(arguments[2]) : 500;
                using (Bare bare = new Bare(graph, tensors), copying = new Bare(graph, tensors))
                {
                    Action ours = name == "sample" ? (Action)(() => model.Sample()) : () => model.Run(name, inputs);
                    Report(name, Medians(rounds, ours, bare.Run, copying.RunAndCopy));
                }
            }
            return 0;
        }

        private static void Report(string name, double[] medians)
        {
            double ours = medians[0], bare = medians[1], copied = medians[2];
            Console.WriteLine($"{name}: {ours:0.0} us");
            Console.WriteLine($"values made and outputs copied, no more: {Compared(ours, copied)}");
            Console.WriteLine($"values made once and outputs left alone: {Compared(ours, bare)}");
        }

        private static string Compared(double ours, double bare) =>
            $"{bare:0.0} us: we add {ours - bare:0.0} us or {100 * (ours / bare - 1):0.0} %";

        /// <summary>Zeros, or the least that is allowed, for the inputs that must be given.</summary>
        private static Dictionary<string, Tensor> SmallestInputs(Card card)
        {
            var inputs = new Dictionary<string, Tensor>();
            foreach (Port port in card.Inputs.Where(port => !port.Optional))
            {
                long[] shape = port.Shape.Select(axis => axis.Size ?? 1).ToArray();
                Array values = Array.CreateInstance(Bare.TypeOf(port.DType), (int)shape.Aggregate(1L, (a, b) => a * b));
                object least = Convert.ChangeType(Math.Max(0, port.Minimum ?? 0), values.GetType().GetElementType());
                for (int i = 0; i < values.Length; i++)
                {
                    values.SetValue(least, i);
                }
                inputs.Add(port.Name, new Tensor(values, shape));
            }
            return inputs;
        }

        /// <summary>The medians of several calls that take turns, each time in another order.</summary>
        private static double[] Medians(int rounds, params Action[] calls)
        {
            List<double>[] times = calls.Select(call => new List<double>(rounds)).ToArray();
            for (int round = 0; round < warmUp + rounds; round++)
            {
                for (int i = 0; i < calls.Length; i++)
                {
                    int turn = (round + i) % calls.Length;
                    double time = Microseconds(calls[turn]);
                    if (round >= warmUp)
                    {
                        times[turn].Add(time);
                    }
                }
            }
            return times.Select(list => list.OrderBy(time => time).ElementAt(list.Count / 2)).ToArray();
        }

        /// <summary>The time of a call, of several in a row as an application makes them.</summary>
        private static double Microseconds(Action call)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < inARow; i++)
            {
                call();
            }
            return (Stopwatch.GetTimestamp() - start) * 1e6 / Stopwatch.Frequency / inARow;
        }
    }
}
