using System;

namespace GenRuntime
{
    /// <summary>An argument is missing, unknown, or not what its port says.</summary>
    public sealed class GenPortException : GenException
    {
        /// <summary>With one line that names the thing, what was expected and what was found.</summary>
        public GenPortException(string message, Exception inner = null) : base(message, inner)
        {
        }
    }
}
