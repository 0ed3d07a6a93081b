using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;

namespace GenRuntime.Tests
{
    /// <summary>What applications call.</summary>
    internal static class ModelTests
    {
        private static readonly float[] latent = { 0.1f, -0.2f, 0.3f, 0.4f, -0.5f, 0.6f };

        public static void The_first_calls_of_the_README_work()
        {
            using (var model = GenModel.Load(Path.Combine(Folders.Suite, "vae.onnx")))
            {
                Image[] images = model.Sample(count: 16, seed: 7);
                float[] mu = model.Encode(new float[1, 1, 8, 8]);
                Check.Equal(16, images.Length);
                Check.Equal(6, mu.Length);
            }
        }

        public static void Named_calls_are_runs()
        {
            using (GenModel vae = Suite.Load("vae"))
            {
                var z = new Tensor(latent, 1, 6);
                Tensor image = vae.Decode(z)["image"];
                Suite.RequireEqual(vae.Run("decode", new Inputs { { "z", z } }).First, image, 0, "decode");
                Suite.RequireEqual(vae.Call("decode", z).First, image, 0, "call");
                Check.Same(new[] { "mu", "logvar" }, vae.Encode(image).Keys, "encode");
                Check.Same(new long[] { 1, 1, 8, 8 }, vae.Reconstruct(image).First.Shape, "reconstruct");
                Check.Refused<GenPortException>(() => vae.Decode(z, z), "decode takes 1 inputs, found 2");
            }
        }

        public static void Outputs_stay_when_the_model_is_closed()
        {
            Outputs outputs;
            float[] before;
            using (GenModel vae = Suite.Load("vae"))
            {
                outputs = vae.Decode(new Tensor(latent, 1, 6));
                before = outputs.First.Values<float>().ToArray();
            }
            Suite.Load("gan").Dispose();
            Check.Same(before, outputs.First.Values<float>(), "values");
        }

        public static void Outputs_that_are_no_floats_are_not_taken_for_some()
        {
            using (GenModel model = Suite.Load("vqvae"))
            {
                Outputs codes = model.Encode(new float[1, 1, 16, 16]);
                Check.Refused<GenPortException>(
                    () => Check.Equal(0, ((float[])codes).Length), "expected a tensor of float32, found one of int64");
            }
        }

        public static void Batches_do_not_change_images_and_progress_counts_them()
        {
            using (GenModel gan = Suite.Load("gan"))
            {
                var seen = new Seen();
                Image[] whole = gan.Sample(5, 7), batched = gan.Sample(5, 7, batch: 2, progress: seen);
                Check.Same(Pixels(whole), Pixels(batched), "pixels");
                Check.Same(new[] { 2, 4, 5 }, seen.Counts, "progress");
                Check.Same(Pixels(whole.Skip(3)), Pixels(gan.Sample(2, 7, new Inputs { { "first", 3 } })), "first");
            }
        }

        public static void A_callers_inputs_stay_as_they_are()
        {
            using (GenModel model = Suite.Load("gaussian"))
            {
                var inputs = new Inputs { { "steps", 3 }, { "solver", "heun" } };
                model.Sample(3, 7, inputs, batch: 2);
                Check.Same(new[] { "steps", "solver" }, inputs.Keys, "inputs");
            }
        }

        public static void A_cancelled_call_stops_before_its_next_batch()
        {
            using (GenModel model = Suite.Load("gan"))
            using (var source = new CancellationTokenSource())
            {
                var seen = new Seen { Then = source.Cancel };
                Check.Refused<OperationCanceledException>(
                    () => model.Sample(8, batch: 1, progress: seen, cancellationToken: source.Token), "");
                Check.Same(new[] { 1 }, seen.Counts, "batches");
            }
        }

        public static void What_cannot_be_sampled_is_refused()
        {
            using (GenModel model = Suite.Load("gan"))
            {
                Check.Refused<GenPortException>(() => model.Sample(0), "sample: count: expected at least 1, found 0");
                Check.Refused<GenPortException>(() => model.Sample(1, batch: 0), "sample: batch: expected at least 1");
                Check.Refused<GenPortException>(
                    () => model.Sample(int.MaxValue), "sample: count: expected at most 134217728, found 2147483647");
                foreach (Value first in new Value[] { null, "a", 0.5, new long[1] })
                {
                    Check.Refused<GenPortException>(
                        () => model.Sample(1, 7, new Inputs { { "first", first } }), "first: expected one whole");
                }
                foreach (string name in new[] { "count", "seed" })
                {
                    Check.Refused<GenPortException>(
                        () => model.Sample(1, 7, new Inputs { { name, 3 } }), $"sample: {name} is given twice");
                }
            }
        }

        public static void A_device_is_the_one_asked_for_or_an_error()
        {
            string path = Path.Combine(Folders.Suite, "gan.onnx");
            Check.Equal(Device.Cpu, DeviceOf(path, Device.Cpu));
            Check.That(DeviceOf(path, Device.Auto) != Device.Auto, "auto is one of the others");
            Exception error = Check.ErrorOf(() => Check.Equal(Device.Cuda, DeviceOf(path, Device.Cuda)));
            Check.That(error == null || error is GenDeviceException, $"{error}");
            Check.That(error == null || error.Message.StartsWith("device 'cuda': "), $"{error}");
            Check.Refused<GenDeviceException>(
                () => GenModel.Load(path, new LoadOptions { Threads = -1 }), "threads: expected at least 0, found -1");
        }

        public static void A_closed_model_and_its_graphs_refuse_calls()
        {
            GenModel model = Suite.Load("vae");
            Graph decode = model.Graph("decode");
            model.Dispose();
            model.Dispose();
            Check.That(Check.ErrorOf(() => model.Sample()) is ObjectDisposedException, "a closed model");
            Check.That(Check.ErrorOf(() => decode.Call(new float[1, 6])) is ObjectDisposedException, "a closed graph");
            Check.Equal("vae", model.Card.Family);
        }

        public static void A_part_can_be_loaded_alone()
        {
            using (GenModel decode = Suite.Load("vae.decode"))
            {
                Check.Same(new[] { "decode" }, decode.Graphs, "graphs");
                Check.Same(new long[] { 1, 1, 8, 8 }, decode.Decode(new Tensor(latent, 1, 6)).First.Shape, "shape");
            }
        }

        private static Device DeviceOf(string path, Device device)
        {
            using (GenModel model = GenModel.Load(path, new LoadOptions { Device = device }))
            {
                return model.Device;
            }
        }

        private static IEnumerable<byte> Pixels(IEnumerable<Image> images) => images.SelectMany(image => image.Pixels);

        private sealed class Seen : IProgress<int>
        {
            public List<int> Counts { get; } = new List<int>();

            public Action Then { get; set; } = () => { };

            public void Report(int value)
            {
                Counts.Add(value);
                Then();
            }
        }
    }
}
