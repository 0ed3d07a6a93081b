using System;

namespace GenRuntime
{
    /// <summary>What this library throws on purpose; itself, when ONNX Runtime failed while it ran a graph.</summary>
    public class GenException : Exception
    {
        /// <summary>With one line that names the thing, what was expected and what was found.</summary>
        public GenException(string message, Exception inner = null) : base(message, inner)
        {
        }
    }
}
