using System.Diagnostics;
using System.IO;

namespace GenRuntime.Tests
{
    /// <summary>The example program, run as a user runs it.</summary>
    internal static class SampleProgramTests
    {
        private static readonly string model = Path.Combine(Folders.Suite, "gaussian.onnx");

        public static void The_program_writes_what_the_library_draws()
        {
            string ours = Path.Combine(Folders.Work, "ours.ppm"), theirs = Path.Combine(Folders.Work, "theirs.ppm");
            string error = Run(
                $"\"{model}\" --seed 7 --count 4 --first 2 --columns 3 --set steps=5 --set solver=heun --set eta=0.0 "
                + $"--device cpu --threads 1 --ppm \"{theirs}\"",
                expectedExit: 0);
            using (GenModel gaussian = Suite.Load("gaussian"))
            {
                var inputs = new Inputs { { "first", 2 }, { "steps", 5 }, { "solver", "heun" } };
                ImageGrid.Of(gaussian.Sample(4, 7, inputs), 3).SavePpm(ours);
            }
            Check.Equal("", error);
            Check.Same(File.ReadAllBytes(ours), File.ReadAllBytes(theirs), "file");
        }

        public static void What_the_program_refuses_is_one_line_and_the_exit_code_1()
        {
            RequireRefused($"\"{model}\" --set steps=0", "sample: steps: expected at least 1, found 0");
            RequireRefused($"\"{model}\" --count two", "--count: expected a whole number, found 'two'");
            RequireRefused($"\"{model}\" --device tpu", "--device: expected auto, cpu or cuda, found 'tpu'");
            RequireRefused($"\"{model}\" --colour red", "unknown option --colour");
            RequireRefused($"\"{model}\" --seed", "--seed needs a value");
            RequireRefused($"\"{model}\" --set steps", "--set: expected NAME=VALUE, found 'steps'");
            RequireRefused($"\"{model}\" \"{model}\"", "expected one model, found ");
        }

        public static void Without_ONNX_Runtimes_library_the_program_says_so() =>
            Check.That(
                Run($"\"{model}\"", expectedExit: 1, libraries: "").StartsWith("GenSample: ONNX Runtime is not there"),
                "what is said");

        private static void RequireRefused(string arguments, string says) =>
            Check.That(Run(arguments, expectedExit: 1).StartsWith($"GenSample: {says}"), says);

        /// <summary>What the program writes to its error stream.</summary>
        private static string Run(string arguments, int expectedExit, string libraries = null)
        {
            var start = new ProcessStartInfo("mono", $"\"{Folders.SampleProgram}\" {arguments}")
            {
                UseShellExecute = false,
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            };
            start.EnvironmentVariables["LD_LIBRARY_PATH"] = libraries ?? start.EnvironmentVariables["LD_LIBRARY_PATH"];
            using (Process process = Process.Start(start))
            {
                process.StandardOutput.ReadToEnd();
                string error = process.StandardError.ReadToEnd();
                process.WaitForExit();
                Check.That(process.ExitCode == expectedExit, $"{arguments}: exit code {process.ExitCode}: {error}");
                return error;
            }
        }
    }
}
