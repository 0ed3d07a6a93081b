using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Reflection;

namespace GenRuntime.Tests
{
    /// <summary>Runs the public methods of the test classes: GenTests.exe SUITE WORK_FOLDER GEN_SAMPLE [NAME]</summary>
    internal static class Program
    {
        private static readonly Type[] classes =
        {
            typeof(EnduranceTests),  // before the others leave memory free that a leak could fill
            typeof(JsonTests), typeof(CardTests), typeof(TensorTests), typeof(ImageTests), typeof(ModelTests),
            typeof(GoldenTests), typeof(SampleProgramTests),
        };

        private static int Main(string[] arguments)
        {
            Folders.Suite = arguments[0];
            Folders.Work = arguments[1];
            Folders.SampleProgram = arguments[2];
            string part = arguments.Length > 3 ? arguments[3] : "";
            List<MethodInfo> tests = classes.SelectMany(Tests).Where(test => NameOf(test).Contains(part)).ToList();
            List<MethodInfo> failed = tests.Where(test => !Passes(test)).ToList();
            Console.WriteLine($"{tests.Count - failed.Count} of {tests.Count} tests passed");
            failed.ForEach(test => Console.Error.WriteLine($"FAILED: {NameOf(test)}"));
            return failed.Count == 0 && tests.Count > 0 ? 0 : 1;
        }

        private static IEnumerable<MethodInfo> Tests(Type type) =>
            type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly);

        private static string NameOf(MethodInfo test) => test.Name.Replace('_', ' ');

        private static bool Passes(MethodInfo test)
        {
            Stopwatch watch = Stopwatch.StartNew();
            try
            {
                object figure = test.Invoke(null, null);
                string details = figure == null ? "" : $" ({figure})";
                Console.WriteLine($"ok   {NameOf(test)}{details}, {watch.ElapsedMilliseconds} ms");
                return true;
            }
            catch (TargetInvocationException error)
            {
                Console.Error.WriteLine($"FAIL {NameOf(test)}: {error.InnerException}");
                return false;
            }
        }
    }
}
