using System;
using System.Collections.Generic;

namespace GenRuntime
{
    /// <summary>One JSON value. Each property is null for a value of another kind.</summary>
    public sealed class Json
    {
        private readonly object value;

        internal Json(object value)
        {
            this.value = value;
        }

        /// <summary>Whether it is JSON's null.</summary>
        public bool IsNull => value == null;

        /// <summary>True or false.</summary>
        public bool? Boolean => value as bool?;

        /// <summary>A number without point or exponent that a long holds.</summary>
        public long? Whole => value as long?;

        /// <summary>Any number.</summary>
        public double? Number => Whole ?? value as double?;

        /// <summary>A text.</summary>
        public string Text => value as string;

        /// <summary>The values of a list.</summary>
        public IReadOnlyList<Json> Items => value as List<Json>;

        /// <summary>The members of an object; of several with one name, the last.</summary>
        public IReadOnlyDictionary<string, Json> Members => value as Dictionary<string, Json>;

        /// <summary>A member of an object; null where there is none.</summary>
        public Json this[string name] => Members != null && Members.TryGetValue(name, out Json member) ? member : null;

        /// <summary>Reads a whole document (RFC 8259).</summary>
        /// <param name="text">The document.</param>
        /// <param name="deepest">How many objects and lists may lie in one another.</param>
        /// <exception cref="FormatException">It is no JSON, or deeper than allowed.</exception>
        public static Json Parse(string text, int deepest) => new JsonReader(text, deepest).Document();
    }
}
