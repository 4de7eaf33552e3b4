"""The page of workers who are wrong in the same way."""

from tests.quality.check_steps import add_gold, answer_gold, quality, settle
from tests.running import Node
from tests.web.office import OPERATOR
from tests.web.people import browsing, make_operator

_WHERE = "/operator/pairs"


async def test_a_flagged_pair_stands_there_with_its_answers(node: Node) -> None:
    await make_operator(node, OPERATOR)
    await quality(node, benchmark_rate=1)
    one, same, other = [await node.worker() for _ in range(3)]
    async with browsing(node, OPERATOR) as (browser,):
        assert "No two workers are wrong alike" in (await browser.get(_WHERE)).text
        assert "None counted yet" in (await browser.get(f"{_WHERE}?status=all")).text
        for number in range(5):
            await add_gold(node, number)
            await answer_gold(node, one, "{}<b>")
            await answer_gold(node, same, "The total is {}.")
            await answer_gold(node, other, f"{number + 900_000}")
            await settle(node)
        flagged = (await browser.get(_WHERE)).text
        assert "5 of 5 wrong answers the same" in flagged
        assert one.id in flagged
        assert same.id in flagged
        assert other.id not in flagged
        assert "The total is 620." in flagged
        assert "620&lt;b&gt;" in flagged, "a worker's text is only text"
        everyone = (await browser.get(f"{_WHERE}?status=all")).text
        assert other.id in everyone
        assert "0 of 5 wrong answers the same" in everyone
        for wrong in ("status=gone", "cursor=x"):
            assert (await browser.get(f"{_WHERE}?{wrong}")).status_code == 422
        assert f'href="{_WHERE}"' in (await browser.get("/operator/checks")).text
    await node.prove()
