using System.Collections.Generic;

namespace GenRuntime
{
    /// <summary>What one file says of itself: the JSON document in its ONNX metadata.</summary>
    public sealed class Card
    {
        internal Card()
        {
        }

        /// <summary>The document's version.</summary>
        public long Version { get; internal set; }

        /// <summary>The model family: <c>vae</c>, <c>diffusion</c>.</summary>
        public string Family { get; internal set; }

        /// <summary>The graph in this file: <c>sample</c>, <c>encode</c>.</summary>
        public string Graph { get; internal set; }

        /// <summary>One sentence about it.</summary>
        public string Summary { get; internal set; }

        /// <summary>The size of the images.</summary>
        public ImageShape Image { get; internal set; }

        /// <summary>What the graph takes, in order.</summary>
        public IReadOnlyList<Port> Inputs { get; internal set; }

        /// <summary>What it gives, in order.</summary>
        public IReadOnlyList<Port> Outputs { get; internal set; }

        /// <summary>Values on the way that keep a name in the file.</summary>
        public IReadOnlyList<Port> Inner { get; internal set; }

        /// <summary>The graphs in the files beside this one.</summary>
        public IReadOnlyList<string> Parts { get; internal set; }

        /// <summary>All of it: config, schedule, noise, data, training, parity, ..</summary>
        public Json Document { get; internal set; }

        /// <summary>The document as it stands in the file.</summary>
        public string Text { get; internal set; }

        /// <summary>The card that a document describes.</summary>
        /// <param name="text">The JSON document.</param>
        /// <param name="source">The file it came from, for messages.</param>
        /// <exception cref="GenFileException">
        /// It is too long or deep, no JSON, of a newer version, or a field is missing or malformed.
        /// </exception>
        public static Card Parse(string text, string source) => CardReader.Read(text, source);
    }
}
