/** A row of buttons of which one is pressed. */

interface Props<Choice extends string> {
  label: string;
  choices: readonly Choice[];
  chosen: Choice;
  choose(choice: Choice): void;
}

export function Segments<Choice extends string>({ label, choices, chosen, choose }: Props<Choice>) {
  return (
    <div class="segments" role="group" aria-label={label}>
      {choices.map((choice) => (
        <button key={choice} type="button" aria-pressed={choice === chosen} onClick={() => choose(choice)}>
          {choice}
        </button>
      ))}
    </div>
  );
}
