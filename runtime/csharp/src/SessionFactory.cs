using System;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using Microsoft.ML.OnnxRuntime;

namespace GenRuntime
{
    /// <summary>ONNX Runtime sessions on the device that was asked for, never silently on another.</summary>
    internal static class SessionFactory
    {
        private static readonly Regex codes = new Regex(@"\A\[ErrorCode:\w+\] (Load model from .*? failed:)?");
        private static readonly Regex sourceLines = new Regex(@"/\S+\.(h|cc|cu):\d+ .*?\) ");

        /// <summary>A session of an ONNX file, and the device it runs on.</summary>
        public static InferenceSession Open(string path, LoadOptions options, out Device device)
        {
            if (options.Threads < 0)
            {
                throw new GenDeviceException($"threads: expected at least 0, found {options.Threads}");
            }
            if (Directory.Exists(path))
            {
                throw new GenFileException($"{path}: expected an .onnx file, found a folder");
            }
            if (!File.Exists(path))
            {
                throw new GenFileException($"{path}: no such file");
            }
            try
            {
                return OnDevice(path, options, out device);
            }
            catch (Exception error) when (error is TypeInitializationException || error is DllNotFoundException)
            {
                string reason = FirstLine(error.InnerException ?? error);
                throw new GenDeviceException(
                    $"ONNX Runtime is not there: expected its native library: {reason}", error);
            }
        }

        /// <summary>What ONNX Runtime says went wrong, without its codes, source lines and stack.</summary>
        public static string FirstLine(Exception error) =>
            sourceLines.Replace(codes.Replace(error.Message.Trim().Split('\r', '\n')[0], ""), "");

        private static InferenceSession OnDevice(string path, LoadOptions options, out Device device)
        {
            device = Device.Cuda;
            if (options.Device != Device.Cpu)
            {
                try
                {
                    return OnCuda(path, options);
                }
                catch (GenDeviceException) when (options.Device == Device.Auto)
                {
                }
            }
            device = Device.Cpu;
            return Create(path, options, session => { });
        }

        private static InferenceSession OnCuda(string path, LoadOptions options)
        {
            if (!OrtEnv.Instance().GetAvailableProviders().Contains("CUDAExecutionProvider"))
            {
                throw new GenDeviceException(
                    "device 'cuda': this ONNX Runtime is built without CUDA: expected its GPU package");
            }
            try
            {
                return Create(path, options, AddCuda);
            }
            catch (GenFileException error)
            {
                Create(path, options, session => { }).Dispose();  // a file that is broken everywhere says so, not CUDA
                throw new GenDeviceException($"device 'cuda': CUDA does not start: {error.Message}", error);
            }
        }

        private static void AddCuda(SessionOptions session)
        {
            try
            {
                session.AppendExecutionProvider_CUDA();
            }
            catch (OnnxRuntimeException error)
            {
                throw new GenDeviceException(
                    $"device 'cuda': ONNX Runtime cannot load CUDA: {FirstLine(error)}", error);
            }
        }

        private static InferenceSession Create(string path, LoadOptions options, Action<SessionOptions> add)
        {
            using (var session = new SessionOptions())
            {
                // An optional input is a warning each.
                session.LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR;
                session.IntraOpNumThreads = options.Threads;
                add(session);
                try
                {
                    return new InferenceSession(path, session);
                }
                catch (OnnxRuntimeException error)
                {
                    throw new GenFileException($"{path}: ONNX Runtime cannot load it: {FirstLine(error)}", error);
                }
            }
        }
    }
}
