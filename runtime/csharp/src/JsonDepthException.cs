using System;

namespace GenRuntime
{
    /// <summary>More objects and lists lie in one another than allowed.</summary>
    internal sealed class JsonDepthException : FormatException
    {
        public JsonDepthException(int deepest) : base($"more than {deepest} levels deep")
        {
        }
    }
}
