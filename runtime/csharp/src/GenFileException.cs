using System;

namespace GenRuntime
{
    /// <summary>A file is missing, broken, not one of ours, too new, or cannot be written.</summary>
    public sealed class GenFileException : GenException
    {
        /// <summary>With one line that names the thing, what was expected and what was found.</summary>
        public GenFileException(string message, Exception inner = null) : base(message, inner)
        {
        }
    }
}
