using System;

namespace GenRuntime
{
    /// <summary>The device asked for, or ONNX Runtime itself, is not there.</summary>
    public sealed class GenDeviceException : GenException
    {
        /// <summary>With one line that names the thing, what was expected and what was found.</summary>
        public GenDeviceException(string message, Exception inner = null) : base(message, inner)
        {
        }
    }
}
