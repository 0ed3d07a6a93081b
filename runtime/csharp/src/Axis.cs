namespace GenRuntime
{
    /// <summary>One axis of a port: a size, or the name of a free axis that all ports of the graph share.</summary>
    public sealed class Axis
    {
        internal Axis(long? size, string name)
        {
            Size = size;
            Name = name;
        }

        /// <summary>The size; null of a free axis.</summary>
        public long? Size { get; }

        /// <summary>The free axis's name; null of a fixed one.</summary>
        public string Name { get; }

        /// <summary>The name, or the size.</summary>
        public override string ToString() => Name ?? Size.ToString();
    }
}
