#include "net/plan.h"

#include "net/passes.h"

static coulis_status build(cl_plan *plan, const coulis_model *model, int32_t output, coulis_error *error) {
    coulis_status status = cl_plan_lower(plan, cl_model_graph(model), output, error);
    if (!status) status = cl_plan_fuse(plan, error);
    for (int32_t s = 0; !status && s < plan->step_count; s++)
        if (plan->steps[s].ops->pack) status = plan->steps[s].ops->pack(plan, model, &plan->steps[s], error);
    if (status) return status;
    const cl_value *result = &plan->values[plan->output];
    plan->length = result->rows * result->channels;
    return cl_plan_lay_out(plan, error);
}

coulis_status cl_plan_create(const coulis_model *model, int32_t output, int32_t precision, cl_plan **out,
                             coulis_error *error) {
    cl_plan *plan = cl_alloc_zero(1, sizeof *plan);
    if (!plan) return cl_fail_memory(error, "the plan of the network", sizeof *plan);
    plan->kernels = cl_kernels_get();
    plan->reduced = cl_reduced_for(cl_cpu(), precision);
    coulis_status status = build(plan, model, output, error);
    if (status) {
        cl_plan_free(plan);
        return status;
    }
    *out = plan;
    return COULIS_OK;
}

void cl_plan_free(cl_plan *plan) {
    if (!plan) return;
    for (int32_t s = 0; plan->steps && s < plan->step_count; s++) {
        cl_free(plan->steps[s].weights);
        cl_free(plan->steps[s].bias);
    }
    cl_free(plan->steps);
    cl_free(plan->values);
    cl_free(plan->inputs);
    cl_free(plan);
}
