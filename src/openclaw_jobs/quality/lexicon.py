"""The words that the guards know. English, with the commonest negations of a few languages."""

from typing import Final


def word_set(text: str) -> frozenset[str]:
    """The words of a text, as a list of words is best read."""
    return frozenset(text.split())


NEGATORS: Final = word_set(
    """
    not no never none nobody nothing nowhere neither nor without nicht kein keine keinen
    keiner keinem keines nie niemals niemand ohne pas jamais rien aucun aucune sans nunca
    nada nadie ninguno ninguna sin não nem non mai niente nessuno senza не нет никогда без
    """
)
"""Words that turn a statement round: English, German, French (whose "ne" comes with one of these),
Spanish, Portuguese, Italian, Russian."""

NEGATIVE_FORMS: Final = word_set(
    """
    impossible invalid incorrect inaccurate insufficient inactive incomplete inconsistent
    unable unlikely unsafe untrue unavailable unpaid unknown unchanged uncertain unsupported
    unchecked unnecessary unsuccessful unhealthy unstable unfair unlawful illegal irrelevant
    irregular dishonest disagree disagrees disallowed disabled nonexistent
    """
)
"""What "not possible" is in one word."""

_ANTONYMS: Final = """
true false | yes no | open closed | opens closes | opened closed | opening closing | on off
rise fall | rises falls | rose fell | rising falling | risen fallen | grew shrank | grow shrink
increase decrease | increased decreased | increases decreases | increasing decreasing | up down
higher lower | highest lowest | high low | more less | most least | many few | larger smaller
largest smallest | greater lesser | longer shorter | longest shortest | faster slower
fastest slowest | stronger weaker | better worse | best worst | cheaper dearer
before after | above below | over under | inside outside | left right | first last | early late
earlier later | north south | east west | always never | all none | everyone nobody | with without
positive negative | accept reject | accepted rejected | approve deny | approved denied | pass fail
passed failed | passes fails | allow forbid | allows forbids | allowed forbidden | win lose
won lost | wins loses | buy sell | bought sold | start stop | started stopped | begin end
daily weekly | daily monthly | monthly yearly | hot cold | warm cool | full empty
safe dangerous | legal illegal | correct wrong | right wrong
guilty innocent | healthy ill | alive dead | present absent | public private | import export
maximum minimum | max min | include exclude | includes excludes | including excluding
included excluded | add remove | added removed | love hate | loved hated
day night | morning evening | import export | import exports | profit loss | gain loss
male female | he she | his her | old new | old young | black white | rich poor
mit ohne | immer nie | oui non | sí no | ja nein | да нет | toujours jamais | siempre nunca
apre chiude | abre cierra | ouvre ferme | öffnet schließt | öffnen schließen
"""
ANTONYMS: Final = tuple(
    (positive, negative)
    for line in _ANTONYMS.strip().splitlines()
    for pair in line.split(" | ")
    for positive, negative in [pair.split(" ")]
    # Those are counted as negations already, and not possible is impossible.
    if negative not in NEGATIVE_FORMS
)
"""Pairs of which a text may hold one where the other text holds the other, and then disagrees."""

OPENERS: Final = word_set(
    """
    a about according after all also although an and another any are as at because before
    best both but by can dear each either even every few finally first for from he hello her
    here his how however i if in instead is it its kind last later less many may more most
    mr mrs ms my no nobody not now of on once one only or our over people same several she
    since so some someone still such thanks that the their then there these they this those
    though thus to today under until up we what when where whether which while who why will
    with within without yes you your
    """
)
"""Words that begin sentences with a capital without being names."""
