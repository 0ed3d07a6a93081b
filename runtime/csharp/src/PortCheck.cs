using System.Collections.Generic;
using System.Linq;
using Microsoft.ML.OnnxRuntime;
using Declared = System.Collections.Generic.IReadOnlyDictionary<string, Microsoft.ML.OnnxRuntime.NodeMetadata>;

namespace GenRuntime
{
    /// <summary>Refuses a card with other ports than its graph: whoever makes an input believes the card.</summary>
    internal static class PortCheck
    {
        /// <exception cref="GenFileException">The card and the graph differ.</exception>
        public static void Require(string path, Card card, InferenceSession session)
        {
            ILookup<bool, Port> inputs = card.Inputs.ToLookup(port => port.Optional);
            Declared required = session.InputMetadata, optional = session.OverridableInitializerMetadata;
            RequireTypes(path, "required inputs", inputs[false], required);
            RequireTypes(path, "optional inputs", inputs[true], optional);
            RequireTypes(path, "outputs", card.Outputs, session.OutputMetadata);
            foreach (Port port in card.Inputs)
            {
                NodeMetadata value = (port.Optional ? optional : required)[port.Name];
                RequireShape(path, port, value, SizesOf(port).SequenceEqual(SizesOf(value)));
            }
            foreach (Port port in card.Outputs)
            {
                NodeMetadata value = session.OutputMetadata[port.Name];
                RequireShape(path, port, value, !Contradicts(SizesOf(port), SizesOf(value)));
            }
        }

        private static void RequireTypes(string path, string what, IEnumerable<Port> ports, Declared graph)
        {
            List<string> expected = ports.Select(port => TypeText(port.Name, $"{port.Element.OnnxType}")).ToList();
            List<string> found = graph.Select(value => TypeText(value.Key, TypeOf(value.Value))).ToList();
            if (expected.Count != found.Count || expected.Except(found).Any() || found.Except(expected).Any())
            {
                throw new GenFileException(
                    $"{path}: its card declares the {what} {Listed(expected)}, its graph has {Listed(found)}");
            }
        }

        private static void RequireShape(string path, Port port, NodeMetadata value, bool fits)
        {
            if (!fits)
            {
                string expected = new FreeAxes().ShapeOf(port);
                throw new GenFileException(
                    $"{path}: its card declares {port.Name} with the shape {expected}, its graph {ShapeText(value)}");
            }
        }

        /// <summary>Whether an output has another rank or size than its port; no axes may be unknown ones.</summary>
        private static bool Contradicts(List<long?> said, List<long?> known) =>
            said.Count == known.Count ? said.Zip(known, (a, b) => a != null && b != null && a != b).Any(x => x)
            : known.Count > 0;

        /// <summary>The sizes of the axes; null where one is free.</summary>
        private static List<long?> SizesOf(Port port) => port.Shape.Select(axis => axis.Size).ToList();

        private static List<long?> SizesOf(NodeMetadata value) =>
            value.Dimensions.Select(size => size < 0 ? null : (long?)size).ToList();

        private static string ShapeText(NodeMetadata value)
        {
            IEnumerable<string> axes = value.Dimensions.Zip(
                value.SymbolicDimensions,
                (size, name) => size >= 0 ? size.ToString() : string.IsNullOrEmpty(name) ? "None" : name);
            return $"[{string.Join(", ", axes)}]";
        }

        private static string TypeOf(NodeMetadata value) => value.IsTensor ? value.ElementDataType.ToString() : "none";

        private static string TypeText(string name, string type) => $"'{name}': 'tensor({type.ToLowerInvariant()})'";

        private static string Listed(IEnumerable<string> types) => $"{{{string.Join(", ", types)}}}";
    }
}
