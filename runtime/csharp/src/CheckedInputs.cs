using System;
using System.Collections.Generic;
using System.Linq;

namespace GenRuntime
{
    /// <summary>A caller's values as the tensors that a graph's ports declare, or a refusal by name.</summary>
    internal sealed class CheckedInputs
    {
        private readonly string graph;
        private readonly List<Port> ports;

        /// <exception cref="GenPortException">A value is missing, unknown, or not what its port says.</exception>
        public CheckedInputs(string graph, Port[] declared, Inputs values)
        {
            this.graph = graph;
            ports = new List<Port>(declared.Length);
            Names = new List<string>(declared.Length);
            Tensors = new List<Tensor>(declared.Length);
            RequireNames(declared, values);
            foreach (Port port in ports)
            {
                Tensor tensor = TensorOf(port, values[port.Name]);
                Names.Add(port.Name);
                Tensors.Add(tensor);
                Axes.Note(port, tensor);
            }
            RequireShapes();
        }

        public List<string> Names { get; }

        public List<Tensor> Tensors { get; }

        public FreeAxes Axes { get; } = new FreeAxes();

        /// <summary>Finds the ports that are given something, and looks closer only where one is wrong.</summary>
        private void RequireNames(Port[] declared, Inputs values)
        {
            bool complete = true;
            foreach (Port port in declared)
            {
                if (values.ContainsKey(port.Name))
                {
                    ports.Add(port);
                }
                else
                {
                    complete &= port.Optional;
                }
            }
            if (ports.Count < values.Count)
            {
                string unknown = values.Keys.First(name => ports.All(port => port.Name != name));
                string known = declared.Length == 0 ? "none" : Text.Names(declared);
                throw new GenPortException($"{graph} has no input {Text.Quoted(unknown)}: it takes {known}");
            }
            if (!complete)
            {
                string missing = Text.Names(declared.Where(port => !port.Optional && !ports.Contains(port)));
                throw new GenPortException($"{graph} needs {missing}");
            }
        }

        private void RequireShapes()
        {
            for (int i = 0; i < ports.Count; i++)
            {
                long[] shape = Tensors[i].Sizes;
                if (!Axes.Fit(ports[i], shape))
                {
                    throw Refused(ports[i], $"expected shape {Axes.ShapeOf(ports[i])}, found {Text.Of(shape)}");
                }
            }
        }

        /// <summary>The value as a tensor of the port's dtype, finite and within its range.</summary>
        private Tensor TensorOf(Port port, Value value)
        {
            Tensor given = value?.Choice != null ? NumberOf(port, value.Choice) : value?.Tensor;
            Array values = given == null ? null : port.Element.Cast(given.Element, given.Array, given.IsSingle);
            if (values == null)
            {
                string found = given == null ? "null" : Text.Found(given);
                throw Refused(port, $"expected {port.Element.Name}, found {found}");
            }
            if (values.Length > 0)  // the shape check refuses an empty one, and says so better
            {
                RequireRange(port, values);
            }
            return values == given.Array ? given : new Tensor(port.Element, values, given.Sizes);
        }

        private Tensor NumberOf(Port port, string choice)
        {
            if (port.Choices.Count == 0)
            {
                throw Refused(port, $"expected {port.Element.Name}, found {Text.Quoted(choice)}");
            }
            int number = port.Choices.ToList().IndexOf(choice);
            return number >= 0
                ? Tensor.Single((long)number)
                : throw Refused(
                    port, $"expected one of {string.Join(", ", port.Choices)}, found {Text.Quoted(choice)}");
        }

        private void RequireRange(Port port, Array values)
        {
            if (!port.Element.IsReal && port.Minimum == null && port.Maximum == null)
            {
                return;
            }
            port.Element.FindRange(values, out double least, out double greatest);
            if (double.IsNaN(least) || double.IsInfinity(least) || double.IsInfinity(greatest))
            {
                throw Refused(port, $"expected finite {port.Element.Name} values, found NaN or infinity");
            }
            if (least < port.Minimum)
            {
                throw Refused(port, $"expected at least {Text.Of(port.Minimum.Value)}, found {Text.Of(least)}");
            }
            if (greatest > port.Maximum)
            {
                throw Refused(port, $"expected at most {Text.Of(port.Maximum.Value)}, found {Text.Of(greatest)}");
            }
        }

        private GenPortException Refused(Port port, string words) =>
            new GenPortException($"{graph}: {port.Name}: {words}");
    }
}
