using System;
using System.Globalization;
using System.IO;
using System.Linq;

namespace GenRuntime.Tests
{
    /// <summary>Memory, call after call and model after model.</summary>
    internal static class EnduranceTests
    {
        private const double pages = 4096 / 1e6;  // in MB

        /// <summary>A call is 64 runs: to keep one ONNX Runtime value of each would add 10 MB or more.</summary>
        public static string Memory_stays_flat_over_1000_calls()
        {
            using (GenModel model = Suite.Load("gan"))
            {
                return RequireFlat(1000, 3, () =>
                {
                    model.Sample(64, 7, batch: 1);
                    Check.ErrorOf(() => model.Sample(1, 7, new Inputs { { "first", -1 } }));
                });
            }
        }

        /// <summary>A session of this model takes more than 0.1 MB: each one kept would add 20 MB.</summary>
        public static string Memory_stays_flat_over_200_cycles_of_load_run_and_dispose()
        {
            byte[] first = null;
            return RequireFlat(200, 10, () =>
            {
                using (GenModel model = Suite.Load("gan"))
                {
                    byte[] pixels = model.Sample(2, 7).SelectMany(image => image.Pixels).ToArray();
                    first = first ?? pixels;
                    Check.Same(first, pixels, "images");
                    Check.Refused<GenPortException>(() => model.Run("sample", new Inputs()), "needs seed, count");
                }
                Check.Refused<GenFileException>(() => Suite.Load("broken/truncated").Dispose(), "cannot load it");
                Check.Refused<GenFileException>(() => Suite.Load("broken/other_shape").Dispose(), "its card declares");
            });
        }

        /// <summary>The resident memory grows by less than so many MB, once half as many calls settled it.</summary>
        private static string RequireFlat(int calls, double most, Action call)
        {
            Repeat(calls / 2, call);
            double before = ResidentMegabytes();
            Repeat(calls, call);
            double growth = ResidentMegabytes() - before;
            string figure = string.Format(CultureInfo.InvariantCulture, "{0:0.0} MB more than {1:0.0}", growth, before);
            Check.That(growth < most, figure);
            return figure;
        }

        private static void Repeat(int times, Action call)
        {
            for (int i = 0; i < times; i++)
            {
                call();
            }
        }

        private static double ResidentMegabytes()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            GC.Collect();
            return long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * pages;
        }
    }
}
