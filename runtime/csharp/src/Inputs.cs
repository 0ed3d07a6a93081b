using System.Collections.Generic;

namespace GenRuntime
{
    /// <summary>Values by the names of inputs: <c>new Inputs { { "steps", 20 }, { "solver", "heun" } }</c>.</summary>
    public sealed class Inputs : Dictionary<string, Value>
    {
        /// <summary>No values yet.</summary>
        public Inputs()
        {
        }

        /// <summary>A copy, to change.</summary>
        public Inputs(IDictionary<string, Value> values) : base(values)
        {
        }
    }
}
