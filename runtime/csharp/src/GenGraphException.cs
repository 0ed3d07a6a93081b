using System;

namespace GenRuntime
{
    /// <summary>A graph that the file does not declare.</summary>
    public sealed class GenGraphException : GenException
    {
        /// <summary>With one line that names the thing, what was expected and what was found.</summary>
        public GenGraphException(string message, Exception inner = null) : base(message, inner)
        {
        }
    }
}
