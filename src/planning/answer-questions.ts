/**
 * Runs a plan that is a generator of questions: asks them one after the other, and gives what it returns.
 * The plan bounds the number of its questions.
 *
 * @example const outcome = await answerQuestions(searchPivot(input), (question) => source.answer(question))
 */
export async function answerQuestions<Question, Outcome, Answer>(
  plan: Generator<Question, Outcome, Answer>,
  answer: (question: Question) => Promise<Answer>,
): Promise<Outcome> {
  let step = plan.next()
  while (!step.done) step = plan.next(await answer(step.value))
  return step.value
}
